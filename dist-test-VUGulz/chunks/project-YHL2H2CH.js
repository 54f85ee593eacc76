import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  LIBRARY,
  findProject,
  makeProject
} from "./chunk-DBGIVBZN.js";
import "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";
export {
  LIBRARY,
  findProject,
  makeProject
};
//# sourceMappingURL=project-YHL2H2CH.js.map
