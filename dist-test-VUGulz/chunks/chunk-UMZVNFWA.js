import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  runToolNow
} from "./chunk-4FSZ64YD.js";
import {
  XenError
} from "./chunk-4IU4G7QT.js";

// src/dom0/image/debian-kernel.ts
import { existsSync, readdirSync } from "node:fs";
function newest(names) {
  return [...names].sort((a, b) => a.localeCompare(b, "en", { numeric: true })).at(-1);
}
function debianKernel() {
  const releases = existsSync("/lib/modules") ? readdirSync("/lib/modules") : [];
  const release = newest(releases.filter((name) => existsSync(`/boot/vmlinuz-${name}`)));
  if (release === void 0) {
    const detail = "none is installed in /boot with its modules: run scripts/setup";
    throw new XenError("ENOENT", "find Debian's kernel", detail);
  }
  return { release, image: `/boot/vmlinuz-${release}` };
}
function moduleFiles(kernel, modules) {
  const files = /* @__PURE__ */ new Set();
  for (const module of modules) {
    const plan = runToolNow("/sbin/modprobe", ["-S", kernel.release, "--show-depends", module]);
    for (const [, path] of plan.matchAll(/^insmod (\S+)/gm)) files.add(path);
  }
  return [...files];
}

export {
  newest,
  debianKernel,
  moduleFiles
};
//# sourceMappingURL=chunk-UMZVNFWA.js.map
