/** The xenstore protocol, xen/include/public/io/xs_wire.h. */
import { byteArray, struct, u32 } from '../../base/layout.ts';

export const XS_CONTROL = 0;
export const XS_DIRECTORY = 1;
export const XS_READ = 2;
export const XS_GET_PERMS = 3;
export const XS_WATCH = 4;
export const XS_UNWATCH = 5;
export const XS_TRANSACTION_START = 6;
export const XS_TRANSACTION_END = 7;
export const XS_INTRODUCE = 8;
export const XS_RELEASE = 9;
export const XS_GET_DOMAIN_PATH = 10;
export const XS_WRITE = 11;
export const XS_MKDIR = 12;
export const XS_RM = 13;
export const XS_SET_PERMS = 14;
export const XS_WATCH_EVENT = 15;
export const XS_ERROR = 16;
export const XS_IS_DOMAIN_INTRODUCED = 17;
export const XS_RESUME = 18;
export const XS_SET_TARGET = 19;
export const XS_RESET_WATCHES = 21;
export const XS_DIRECTORY_PART = 22;
export const XS_GET_FEATURE = 23;
export const XS_SET_FEATURE = 24;
export const XS_GET_QUOTA = 25;
export const XS_SET_QUOTA = 26;

/** The header of every request, reply and event. */
export const XsdSockmsg = struct('struct xsd_sockmsg', {
  type: u32,
  req_id: u32,
  tx_id: u32,
  /** Bytes of payload after the header, at most `XENSTORE_PAYLOAD_MAX`. */
  len: u32,
});

export const XENSTORE_PAYLOAD_MAX = 4096;
export const XENSTORE_RING_SIZE = 1024;
export const XENSTORE_ABS_PATH_MAX = 3072;
export const XENSTORE_REL_PATH_MAX = 2048;

/** The page that a domain and xenstored share. Indexes run freely; `connection` and `error` below. */
export const XenstoreDomainInterface = struct('struct xenstore_domain_interface', {
  req: byteArray(XENSTORE_RING_SIZE),
  rsp: byteArray(XENSTORE_RING_SIZE),
  req_cons: u32,
  req_prod: u32,
  rsp_cons: u32,
  rsp_prod: u32,
  server_features: u32,
  connection: u32,
  error: u32,
});

export const XENSTORE_SERVER_FEATURE_RECONNECTION = 1;
export const XENSTORE_SERVER_FEATURE_ERROR = 2;
/** WATCH takes a depth. */
export const XENSTORE_SERVER_FEATURE_WATCHDEPTH = 4;
/** Permissions may name `DOMID_ANY`. */
export const XENSTORE_SERVER_FEATURE_DOMID_ANY = 8;

export const XENSTORE_CONNECTED = 0;
export const XENSTORE_RECONNECT = 1;

export const XENSTORE_ERROR_NONE = 0;
export const XENSTORE_ERROR_COMM = 1;
export const XENSTORE_ERROR_RINGIDX = 2;
export const XENSTORE_ERROR_PROTO = 3;
