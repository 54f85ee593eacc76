import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  debianKernel,
  moduleFiles,
  newest
} from "./chunk-UMZVNFWA.js";
import "./chunk-4FSZ64YD.js";
import "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";
export {
  debianKernel,
  moduleFiles,
  newest
};
//# sourceMappingURL=debian-kernel-DCHBAO6K.js.map
