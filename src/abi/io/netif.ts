/**
 * The network protocol, xen/include/public/io/netif.h. A guest transmits through one ring and
 * receives through another (io/ring.ts): requests and responses share the slots of each, and so do
 * extra infos, which stand after the first slot of a packet and take its place in either direction.
 * No field is larger than 4 bytes, so the layouts are the same for guests of 32 and of 64 bits.
 */
import { byteArray, i16, struct, u8, u16, u32 } from '../../base/layout.ts';

/** Slots beside the first that a back end accepts in a packet at least. */
export const XEN_NETIF_NR_SLOTS_MIN = 18;
/** Bytes in a packet that a guest transmits, at most. */
export const XEN_NETIF_MAX_TX_SIZE = 0xffff;

/** Flags of a transmit request. The checksum field of TCP or UDP is not filled in. */
export const NETTXF_csum_blank = 1;
/** The checksum is right, or blank on a path that does no harm. */
export const NETTXF_data_validated = 2;
/** The packet goes on in the next request. */
export const NETTXF_more_data = 4;
/** An extra info follows. */
export const NETTXF_extra_info = 8;

/** Flags of a receive response: the same with other numbers. */
export const NETRXF_data_validated = 1;
export const NETRXF_csum_blank = 2;
export const NETRXF_more_data = 4;
export const NETRXF_extra_info = 8;

export const NETIF_RSP_DROPPED = -2;
export const NETIF_RSP_ERROR = -1;
export const NETIF_RSP_OKAY = 0;
/** In the slot of an extra info, which has no response of its own. */
export const NETIF_RSP_NULL = 1;

export const XEN_NETIF_EXTRA_TYPE_NONE = 0;
export const XEN_NETIF_EXTRA_TYPE_GSO = 1;
export const XEN_NETIF_EXTRA_TYPE_MCAST_ADD = 2;
export const XEN_NETIF_EXTRA_TYPE_MCAST_DEL = 3;
export const XEN_NETIF_EXTRA_TYPE_HASH = 4;
/** The first number that is no type. */
export const XEN_NETIF_EXTRA_TYPE_MAX = 5;

/** Flag of an extra info: another one follows. */
export const XEN_NETIF_EXTRA_FLAG_MORE = 1;

export const XEN_NETIF_GSO_TYPE_NONE = 0;
export const XEN_NETIF_GSO_TYPE_TCPV4 = 1;
export const XEN_NETIF_GSO_TYPE_TCPV6 = 2;

export const NetifTxRequest = struct('struct netif_tx_request', {
  gref: u32,
  /** Bytes from the start of the page. */
  offset: u16,
  /** `NETTXF_…` */
  flags: u16,
  /** The front end's own number, echoed in the response. */
  id: u16,
  /** Of a packet's first slot the bytes of the whole packet, of every other one those of the slot. */
  size: u16,
});

export const NetifTxResponse = struct('struct netif_tx_response', {
  id: u16,
  /** `NETIF_RSP_…` */
  status: i16,
});

export const NetifRxRequest = struct('struct netif_rx_request', {
  id: u16,
  pad: u16,
  gref: u32,
});

export const NetifRxResponse = struct('struct netif_rx_response', {
  id: u16,
  /** Bytes from the start of the page. */
  offset: u16,
  /** `NETRXF_…` */
  flags: u16,
  /** Bytes in this slot, or a negative `NETIF_RSP_…`. */
  status: i16,
});

/** The head of every extra info, and what stands in one about segmentation offload. */
export const NetifExtraGso = struct(
  'struct netif_extra_info',
  {
    /** `XEN_NETIF_EXTRA_TYPE_…` */
    type: u8,
    /** `XEN_NETIF_EXTRA_FLAG_…` */
    flags: u8,
    /** Bytes of payload in each segment at most. */
    gso_size: u16,
    /** `XEN_NETIF_GSO_TYPE_…` */
    gso_type: u8,
    gso_pad: u8,
    gso_features: u16,
  },
  {
    cFields: {
      gso_size: 'u.gso.size',
      gso_type: 'u.gso.type',
      gso_pad: 'u.gso.pad',
      gso_features: 'u.gso.features',
    },
  },
);

/** An address to be added to or removed from the multicast filter. */
export const NetifExtraMcast = struct(
  'struct netif_extra_info',
  { type: u8, flags: u8, addr: byteArray(6) },
  { cFields: { addr: 'u.mcast.addr' } },
);

/** The hash of the packet. */
export const NetifExtraHash = struct(
  'struct netif_extra_info',
  {
    type: u8,
    flags: u8,
    /** A bit number of `XEN_NETIF_CTRL_HASH_TYPE_…`. */
    hash_type: u8,
    hash_algorithm: u8,
    /** The lowest byte first. */
    hash_value: byteArray(4),
  },
  {
    cFields: {
      hash_type: 'u.hash.type',
      hash_algorithm: 'u.hash.algorithm',
      hash_value: 'u.hash.value',
    },
  },
);

/** Flags for the kinds of hash, and the bit numbers by which an extra info names one of them. */
export const XEN_NETIF_CTRL_HASH_TYPE_IPV4 = 1;
export const XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP = 2;
export const XEN_NETIF_CTRL_HASH_TYPE_IPV6 = 4;
export const XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP = 8;
export const _XEN_NETIF_CTRL_HASH_TYPE_IPV4 = 0;
export const _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP = 1;
export const _XEN_NETIF_CTRL_HASH_TYPE_IPV6 = 2;
export const _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP = 3;

export const XEN_NETIF_CTRL_HASH_ALGORITHM_NONE = 0;
export const XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ = 1;

export const XEN_NETIF_CTRL_TYPE_INVALID = 0;
export const XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS = 1;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS = 2;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_KEY = 3;
export const XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE = 4;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE = 5;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING = 6;
export const XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM = 7;
export const XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE = 8;
export const XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING = 9;
export const XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING = 10;

export const XEN_NETIF_CTRL_STATUS_SUCCESS = 0;
export const XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED = 1;
export const XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER = 2;
export const XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW = 3;

/** A request of the control ring, which configures the back end. */
export const XenNetifCtrlRequest = struct(
  'struct xen_netif_ctrl_request',
  {
    id: u16,
    /** `XEN_NETIF_CTRL_TYPE_…`, which says what the arguments are. */
    type: u16,
    argument0: u32,
    argument1: u32,
    argument2: u32,
  },
  { cFields: { argument0: 'data[0]', argument1: 'data[1]', argument2: 'data[2]' } },
);

export const XenNetifCtrlResponse = struct(
  'struct xen_netif_ctrl_response',
  {
    id: u16,
    type: u16,
    /** `XEN_NETIF_CTRL_STATUS_…` */
    status: u32,
    result: u32,
  },
  { cFields: { result: 'data' } },
);
