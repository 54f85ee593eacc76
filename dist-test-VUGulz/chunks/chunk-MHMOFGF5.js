import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  XenError
} from "./chunk-4IU4G7QT.js";

// src/hypervisor/linux/native.ts
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
var builtShim = "native/build/Release/paravane_native.node";
function nativePath(from = fileURLToPath(import.meta.url)) {
  for (let directory = dirname(from); ; directory = dirname(directory)) {
    const candidate = join(directory, builtShim);
    if (existsSync(candidate)) return candidate;
    if (directory === dirname(directory)) {
      throw new XenError(
        "ENOENT",
        "load the native shim",
        `${builtShim} is not built; run scripts/setup`
      );
    }
  }
}
var loaded;
function loadNative() {
  loaded ??= createRequire(import.meta.url)(nativePath());
  return loaded;
}

export {
  nativePath,
  loadNative
};
//# sourceMappingURL=chunk-MHMOFGF5.js.map
