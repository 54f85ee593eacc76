import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateInitialising
} from "./chunk-IXIAWWMT.js";
import {
  childPath,
  domainHome,
  parentPath
} from "./chunk-FWPDKSSG.js";
import "./chunk-FM26WRJC.js";
import "./chunk-WRZEEFDO.js";
import {
  DOM0
} from "./chunk-GNCMNX2R.js";
import {
  XenError,
  errorCode
} from "./chunk-4IU4G7QT.js";
import "./chunk-CEO3U46H.js";

// src/dom0/console-device.ts
var NUMBER_MAX = 9;
var LIMIT_BYTES = 1 << 20;
function pathsOf(domid, number) {
  return {
    front: `${domainHome(domid)}/device/console/${number}`,
    back: `${domainHome(DOM0)}/backend/console/${domid}/${number}`
  };
}
async function freeNumber(nodes, domid) {
  for (let number = 1; number <= NUMBER_MAX; number++) {
    const { front } = pathsOf(domid, number);
    if (await nodes.readIfPresent(front) === void 0) return number;
  }
  throw new XenError("ENOSPC", `attach a console to domain ${domid}`, `limit: ${NUMBER_MAX}`);
}
async function writeDirectory(nodes, path, permissions, keys) {
  await nodes.mkdir(path);
  await nodes.setPermissions(path, permissions);
  for (const [key, value] of Object.entries(keys)) {
    await nodes.write(childPath(path, key), String(value));
  }
}
function attachConsole(store, domid, plan) {
  const { socket } = plan;
  const guestOwns = [
    { domid, access: "n" },
    { domid: DOM0, access: "r" }
  ];
  const guestReads = [
    { domid: DOM0, access: "n" },
    { domid, access: "r" }
  ];
  return store.transaction(async (nodes) => {
    const number = plan.number ?? await freeNumber(nodes, domid);
    const { front, back } = pathsOf(domid, number);
    if (await nodes.readIfPresent(front) !== void 0) {
      throw new XenError("EEXIST", `attach console ${number} to domain ${domid}`);
    }
    const state = XenbusStateInitialising;
    await writeDirectory(nodes, front, guestOwns, { backend: back, "backend-id": DOM0, state });
    const fixed = { type: "xenconsoled", limit: LIMIT_BYTES, tty: "" };
    for (const [key, value] of Object.entries(fixed)) {
      await nodes.write(childPath(front, key), String(value));
      await nodes.setPermissions(childPath(front, key), guestReads);
    }
    await writeDirectory(nodes, back, guestReads, {
      frontend: front,
      "frontend-id": domid,
      online: 1,
      state,
      protocol: "vt100",
      ...socket === void 0 ? { connection: "pty" } : { connection: "socket", path: socket }
    });
    return number;
  });
}
async function awaitValue(store, path, value, patience_ms) {
  let look = () => {
  };
  const watch = await store.watch(path, () => look());
  let timer;
  try {
    await new Promise((resolve, reject) => {
      look = () => {
        store.readIfPresent(path).then((now) => {
          if (now === void 0 || now === value) resolve();
        }, reject);
      };
      timer = setTimeout(() => {
        reject(new XenError("ETIMEDOUT", `wait for ${path}`, `it never became ${value}`));
      }, patience_ms);
      look();
    });
  } finally {
    clearTimeout(timer);
    await watch.close();
  }
}
async function removeUpTo(nodes, path, top) {
  await nodes.remove(path);
  for (let above = parentPath(path); above !== top; above = parentPath(above)) {
    if ((await nodes.list(above)).length > 0) return;
    await nodes.remove(above);
  }
}
async function detachConsole(store, domid, number, patience_ms) {
  const { front, back } = pathsOf(domid, number);
  const state = childPath(back, "state");
  const operation = `detach console ${number} of domain ${domid}`;
  await store.transaction(async (nodes) => {
    const now = await nodes.readIfPresent(state);
    if (now === void 0 || number === 0) throw new XenError("ENOENT", operation);
    await nodes.write(childPath(back, "online"), "0");
    if (now !== String(XenbusStateClosed)) await nodes.write(state, String(XenbusStateClosing));
  });
  await awaitValue(store, state, String(XenbusStateClosed), patience_ms);
  await store.transaction(async (nodes) => {
    try {
      await removeUpTo(nodes, front, `${domainHome(domid)}/device`);
      await removeUpTo(nodes, back, `${domainHome(DOM0)}/backend`);
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw error;
    }
  });
}
export {
  attachConsole,
  detachConsole
};
//# sourceMappingURL=console-device-HZCTYXY3.js.map
