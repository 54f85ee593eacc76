import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  buildBundle,
  buildImage,
  inScratch,
  linkImage
} from "./chunk-Z54AUDAW.js";
import "./chunk-DBGIVBZN.js";
import "./chunk-4FSZ64YD.js";
import "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";
export {
  buildBundle,
  buildImage,
  inScratch,
  linkImage
};
//# sourceMappingURL=image-FCHLQAWN.js.map
