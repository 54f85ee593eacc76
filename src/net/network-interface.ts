/** The thing that the network protocol turns another domain into: a network interface. */
import { FRAME_OVERHEAD_BYTES, type Frame } from './frame.ts';
import type { MacAddress } from './mac-address.ts';

/** What frames carry unless somebody says otherwise. */
export const MTU_DEFAULT = 1500;
/** The least that IPv4 works with, and the most that a frame of the protocol has room for. */
export const MTU_MIN = 68;
export const MTU_MAX = 0xffff - FRAME_OVERHEAD_BYTES;

export interface NetworkInterfaceInfo {
  /** The address of the station that this interface stands for. */
  readonly mac: MacAddress;
  /** Bytes of payload in a frame at most, where it does not stand for several. */
  readonly mtu: number;
  /** Somebody takes frames at the other end. */
  readonly carrier: boolean;
}

/** Why a frame got no further. */
export type DropReason =
  /** There was no room for it any more. */
  | 'room'
  /** Longer than the interface or its other end takes, shorter than a header. */
  | 'length'
  /** What it says of itself does not go together. */
  | 'malformed'
  /** The other end took no frames for too long. */
  | 'expired'
  /** It could not be copied: the other end shares no memory for it, or says that it failed. */
  | 'refused'
  /** A group that the other end has not asked for. */
  | 'filtered';

/** Frames that went one way. */
export interface DirectionCounts<Reason extends string> {
  frames: number;
  bytes: number;
  /** Those that got no further, and why. */
  readonly dropped: Record<Reason, number>;
}

export interface InterfaceCounts {
  /** Frames that `send` took and that reached the other end. */
  readonly sent: DirectionCounts<DropReason>;
  /** Frames that came from the other end. */
  readonly received: DirectionCounts<DropReason>;
}

export function noCounts(): InterfaceCounts {
  return { sent: noneYet(), received: noneYet() };
}

function noneYet(): DirectionCounts<DropReason> {
  const dropped = { room: 0, length: 0, malformed: 0, expired: 0, refused: 0, filtered: 0 };
  return { frames: 0, bytes: 0, dropped };
}

/**
 * A place where frames go in and out. Frames come and go in batches, so that a batch costs one
 * notification of the peer and one call of Xen. As on a wire, a frame can be lost and nobody is told.
 *
 * A frame and its bytes are their sender's again when the call that handed them over returns: who
 * wants to keep them makes a copy. Nobody changes the bytes of a frame that was handed to him.
 */
export interface NetworkInterface {
  /** What the interface is now; the function given to `onChange` is called when that changes. */
  readonly info: NetworkInterfaceInfo;
  readonly counts: InterfaceCounts;
  /** `send` takes frames with a rest too. */
  readonly takesRests?: boolean;
  /**
   * Takes frames, in order, as far as there is room; returns how many. What the other end cannot do
   * (checksums, segmentation) is done here. A frame that can never be sent counts as taken.
   */
  send(frames: readonly Frame[]): number;
  /**
   * The one function to call with frames that have come. Those that come before it is set are lost.
   * @param takesRests some of the frames may have a rest; none unless given
   */
  onReceive(handler: (frames: readonly Frame[]) => void, takesRests?: boolean): void;
  /** The one function to call when there is room again, after `send` has not taken all. */
  onRoom(handler: () => void): void;
  onChange(handler: () => void): void;
}

/** An interface that holds frames back for somebody who has no room for them. */
export interface PausableInterface extends NetworkInterface {
  /** Nothing more comes until `resume`; the frames that came last stay as they are so long. */
  pause(): void;
  resume(): void;
}
