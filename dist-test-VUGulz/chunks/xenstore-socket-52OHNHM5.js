import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  adoptXenstoreSocket,
  connectXenstoreSocket,
  listenXenstoreSocket,
  xenstoreSocketPath,
  xenstoreStatePath
} from "./chunk-KZAJKWCF.js";
import "./chunk-A4XA7GZ3.js";
import "./chunk-SG3WZJOQ.js";
import "./chunk-HVXLNJDG.js";
import "./chunk-FM26WRJC.js";
import "./chunk-WRZEEFDO.js";
import "./chunk-GNCMNX2R.js";
import "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";
export {
  adoptXenstoreSocket,
  connectXenstoreSocket,
  listenXenstoreSocket,
  xenstoreSocketPath,
  xenstoreStatePath
};
//# sourceMappingURL=xenstore-socket-52OHNHM5.js.map
