import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import "./chunk-CEO3U46H.js";

// src/node/heap.ts
import { setFlagsFromString } from "node:v8";
var GARBAGE_PERCENT = 30;
function keepHeapSmall() {
  setFlagsFromString(`--heap-growing-percent=${GARBAGE_PERCENT}`);
}
export {
  keepHeapSmall
};
//# sourceMappingURL=heap-YZYC7COX.js.map
