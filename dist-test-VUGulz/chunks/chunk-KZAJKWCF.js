import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);
import {
  adoptUnixListener,
  connectUnixSocket,
  listenUnixSocket,
  nodeClock,
  servedTogether,
  socketStream
} from "./chunk-A4XA7GZ3.js";
import {
  XenstoreClient
} from "./chunk-SG3WZJOQ.js";

// src/node/xenstore-socket.ts
function xenstoreSocketPath() {
  const { XENSTORED_PATH, XENSTORED_RUNDIR } = process.env;
  return XENSTORED_PATH ?? `${XENSTORED_RUNDIR ?? "/run/xenstored"}/socket`;
}
function xenstoreStatePath() {
  return `${process.env.XENSTORED_RUNDIR ?? "/run/xenstored"}/state_dump`;
}
async function connectXenstoreSocket(path = xenstoreSocketPath()) {
  return new XenstoreClient(socketStream(await connectUnixSocket(path, "xenstored")), nodeClock);
}
function listenXenstoreSocket(native, path, onConnection) {
  return listenUnixSocket(native, path, "xenstore clients", servedTogether(native, onConnection));
}
function adoptXenstoreSocket(native, fd, path, onConnection) {
  const clients = servedTogether(native, onConnection);
  return adoptUnixListener(native, fd, path, "xenstore clients", clients);
}

export {
  xenstoreSocketPath,
  xenstoreStatePath,
  connectXenstoreSocket,
  listenXenstoreSocket,
  adoptXenstoreSocket
};
//# sourceMappingURL=chunk-KZAJKWCF.js.map
