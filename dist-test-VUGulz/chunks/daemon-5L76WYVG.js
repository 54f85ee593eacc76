import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  announceReady,
  endSignal,
  startInBackground,
  writePidFile
} from "./chunk-Q3QLAXFX.js";
import "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";
export {
  announceReady,
  endSignal,
  startInBackground,
  writePidFile
};
//# sourceMappingURL=daemon-5L76WYVG.js.map
