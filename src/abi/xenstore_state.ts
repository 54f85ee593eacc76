/**
 * The stream in which one xenstored hands all that it is to another: docs/designs/xenstore-migration.md,
 * and tools/xenstore/include/xenstore_state.h of Xen 4.17. Each record is a header, a structure
 * and what follows it, padded with zeros to a multiple of eight bytes.
 */
import { byteArray, i32, struct, u8, u16, u32, u32be } from '../base/layout.ts';

export const XS_STATE_IDENT = 'xenstore';
/** That of Xen 4.17. */
export const XS_STATE_VERSION = 1;
/** Little-endian. */
export const XS_STATE_FLAGS = 0;

/** What the stream begins with. It is big-endian, whatever `flags` says of the rest. */
export const XsStatePreamble = struct('struct xs_state_preamble', {
  ident: byteArray(8),
  version: u32be,
  flags: u32be,
});

export const XS_STATE_TYPE_END = 0;
export const XS_STATE_TYPE_GLOBAL = 1;
export const XS_STATE_TYPE_CONN = 2;
export const XS_STATE_TYPE_WATCH = 3;
export const XS_STATE_TYPE_TA = 4;
export const XS_STATE_TYPE_NODE = 5;
export const XS_STATE_TYPE_GLB_QUOTA = 6;
export const XS_STATE_TYPE_DOMAIN = 7;
export const XS_STATE_TYPE_WATCH_EXT = 8;

export const XsStateRecordHeader = struct('struct xs_state_record_header', {
  type: u32,
  length: u32,
});

/** Descriptors of the process, -1 for none. */
export const XsStateGlobal = struct('struct xs_state_global', {
  socket_fd: i32,
  evtchn_fd: i32,
});

export const XS_STATE_CONN_TYPE_RING = 0;
export const XS_STATE_CONN_TYPE_SOCKET = 1;
/** In `fields`: a 64-bit number that no other domain has ever had follows the data. */
export const XS_STATE_CONN_FIELDS_UNIQ_ID = 1;

/** A connection over a ring. What it has read follows, then what it has not written. */
export const XsStateConnectionRing = struct(
  'struct xs_state_connection',
  {
    conn_id: u32,
    conn_type: u16,
    fields: u16,
    domid: u16,
    /** `DOMID_INVALID` for none. */
    tdomid: u16,
    /** Our port, of the handed descriptor; 0 for none. */
    evtchn: u32,
    data_in_len: u16,
    data_resp_len: u16,
    data_out_len: u32,
  },
  {
    cFields: {
      fields: 'pad',
      domid: 'spec.ring.domid',
      tdomid: 'spec.ring.tdomid',
      evtchn: 'spec.ring.evtchn',
    },
  },
);

/** The same over a socket. */
export const XsStateConnectionSocket = struct(
  'struct xs_state_connection',
  {
    conn_id: u32,
    conn_type: u16,
    fields: u16,
    socket_fd: i32,
    unused: u32,
    data_in_len: u16,
    data_resp_len: u16,
    data_out_len: u32,
  },
  { cFields: { fields: 'pad', socket_fd: 'spec.socket_fd', unused: 'spec.ring.evtchn' } },
);

/** Lengths count the NUL at the end. Path and token follow. */
export const XsStateWatch = struct('struct xs_state_watch', {
  conn_id: u32,
  path_length: u16,
  token_length: u16,
});

/** The same with a depth, as the document has it: C's own structure lacks the two bytes of padding. */
export const XsStateWatchExt = struct('struct xs_state_watch_ext', {
  conn_id: u32,
  path_length: u16,
  token_length: u16,
  depth: u16,
  pad: u16,
});
/** A depth that is no limit. */
export const WATCH_DEPTH_UNLIMITED = 0xffff;

export const XsStateTransaction = struct('struct xs_state_transaction', {
  conn_id: u32,
  ta_id: u32,
});

export const XS_STATE_NODE_PERM_IGNORE = 1;

/** `access` is a letter of `n r w b`. */
export const XsStateNodePerm = struct('struct xs_state_node_perm', {
  access: u8,
  flags: u8,
  domid: u16,
});

/** Permissions, path and data follow. `conn_id` is 0 for a node that is not of a transaction's. */
export const XsStateNode = struct('struct xs_state_node', {
  conn_id: u32,
  ta_id: u32,
  path_len: u16,
  data_len: u16,
  ta_access: u16,
  perm_n: u16,
});

/** The values, 32 bits each, and the names, each with a NUL at its end, follow. */
export const XsStateGlbQuota = struct('struct xs_state_glb_quota', {
  n_dom_quota: u16,
  n_glob_quota: u16,
});

/** The same for one domain. */
export const XsStateDomain = struct('struct xs_state_domain', {
  domain_id: u16,
  n_quota: u16,
  /** `XENSTORE_SERVER_FEATURE_…`; from version 2 on. */
  features: u32,
});
