import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  findDomain
} from "./chunk-SE4VSWZF.js";
import "./chunk-GNCMNX2R.js";
import "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";
export {
  findDomain
};
//# sourceMappingURL=domain-name-4VZSL4LG.js.map
