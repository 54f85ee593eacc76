import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  nativePath
} from "./chunk-MHMOFGF5.js";
import {
  inScratch
} from "./chunk-Z54AUDAW.js";
import {
  checkoutDirectory
} from "./chunk-DBGIVBZN.js";
import {
  debianKernel,
  moduleFiles
} from "./chunk-UMZVNFWA.js";
import {
  runTool,
  runToolNow
} from "./chunk-4FSZ64YD.js";
import "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";

// src/dom0/image/linux-image.ts
import { readdirSync as readdirSync2, realpathSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join as join2, resolve } from "node:path";

// src/dom0/image/initramfs.ts
import {
  chmodSync,
  copyFileSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
var BUSYBOX = "/bin/busybox";
var DIRECTORIES = ["bin", "dev", "proc", "sys", "mnt", "modules", "tmp"];
var PACK = 'cd "$1" && find . -print0 | LC_ALL=C sort -z | cpio --null --create --format=newc --owner=0:0 --reproducible --quiet | gzip -1 -n > "$2"';
function writeInitramfs(path, contents) {
  const root = mkdtempSync(join(tmpdir(), "paravane-initramfs-"));
  try {
    for (const directory of DIRECTORIES) mkdirSync(join(root, directory));
    copyFileSync(BUSYBOX, join(root, "bin/busybox"));
    for (const [target, source] of contents.files ?? []) {
      mkdirSync(dirname(join(root, target)), { recursive: true });
      copyFileSync(source, join(root, target));
      chmodSync(join(root, target), 493);
    }
    moduleFiles(debianKernel(), contents.modules).forEach((file, index) => {
      copyFileSync(file, join(root, "modules", `${100 + index}-${basename(file)}`));
    });
    writeFileSync(join(root, "init"), contents.init);
    chmodSync(join(root, "init"), 493);
    forgetTimes(root);
    runToolNow("bash", ["-o", "pipefail", "-c", PACK, "pack", root, path]);
  } finally {
    rmSync(root, { recursive: true });
  }
}
function forgetTimes(directory) {
  for (const entry of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    lutimesSync(join(directory, entry), 0, 0);
  }
  lutimesSync(directory, 0, 0);
}

// src/dom0/image/shared-libraries.ts
function sharedLibraries(program) {
  const lines = runToolNow("ldd", [program]);
  return [...lines.matchAll(/(\/\S+) \(0x/g)].map(([, library]) => library);
}

// src/dom0/image/linux-image.ts
var MODULES = [
  "xen-evtchn",
  "xen-gntdev",
  "xen-gntalloc",
  "xen-privcmd",
  "xenfs",
  "xen-blkfront"
];
var NODE = "/usr/bin/node";
var PROGRAM = "/paravane/dist";
var initScript = (words) => `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module"; done
mount -t xenfs xenfs /proc/xen
mkdir -p /run /sbin
printf '#!/bin/sh\\nexec /bin/poweroff -f\\n' >/sbin/poweroff
printf '#!/bin/sh\\nexec /bin/reboot -f\\n' >/sbin/reboot
chmod +x /sbin/poweroff /sbin/reboot
${NODE} ${PROGRAM}/paravane.js run ${words.join(" ")}
echo "paravane: the service has ended with status $?"
reboot -f
`;
async function buildLinuxImage(words, image) {
  const checkout = checkoutDirectory();
  await inScratch(async (directory) => {
    await runTool(join2(checkout, "scripts/build"), [directory]);
    const files = /* @__PURE__ */ new Map();
    for (const name of readdirSync2(directory, { recursive: true, encoding: "utf8" })) {
      if (name.endsWith(".js")) files.set(join2(PROGRAM, name), join2(directory, name));
    }
    files.set("/paravane/native/build/Release/paravane_native.node", nativePath());
    files.set(NODE, process.execPath);
    for (const library of sharedLibraries(process.execPath)) {
      files.set(resolve(library), realpathSync(library));
    }
    writeInitramfs(image, { init: initScript(words), modules: MODULES, files });
  });
  return (await stat(image)).size;
}
export {
  buildLinuxImage
};
//# sourceMappingURL=linux-image-7JLN3RTN.js.map
