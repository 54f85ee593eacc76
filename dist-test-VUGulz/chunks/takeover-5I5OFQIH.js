import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  forgetTakeOver,
  rehearseTakeOver,
  takeOver
} from "./chunk-KQ5H4OKH.js";
import "./chunk-R55HPQGR.js";
import "./chunk-2WEKOQT4.js";
import "./chunk-CENJH6II.js";
import "./chunk-YFVYMXZQ.js";
import "./chunk-XBUZ4ILQ.js";
import "./chunk-KZAJKWCF.js";
import "./chunk-A4XA7GZ3.js";
import "./chunk-SG3WZJOQ.js";
import "./chunk-HVXLNJDG.js";
import "./chunk-FWPDKSSG.js";
import "./chunk-FM26WRJC.js";
import "./chunk-WRZEEFDO.js";
import "./chunk-GNCMNX2R.js";
import "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";
export {
  forgetTakeOver,
  rehearseTakeOver,
  takeOver
};
//# sourceMappingURL=takeover-5I5OFQIH.js.map
