/** VLANs of a port (IEEE 802.1Q), and frames with and without the tag that says which one is theirs. */
import { ETHERNET_HEADER_BYTES, type Frame } from './frame.ts';
import { ETHERTYPE_VLAN, isVlanTag, u16At } from './packet-headers.ts';

const VLAN_MAX = 4094;
const TAG_BYTES = 4;
/** Where the tag stands: between the addresses and the type. */
const TAG_OFFSET = ETHERNET_HEADER_BYTES - 2;
const VLAN_MASK = 0xfff;
/** Priority and eligibility to be dropped, which stay what they are. */
const PRIORITY_MASK = 0xf000;

export interface PortVlans {
  /** The VLAN of frames without a tag, in both directions; none: every frame has a tag. */
  readonly untagged?: number;
  /** VLANs whose frames have tags here. */
  readonly tagged?: readonly number[];
}

export const UNTAGGED: PortVlans = { untagged: 1 };

/** Returns `vlans`. Throws RangeError when a number is none of a VLAN, or stands there twice. */
export function checkVlans(vlans: PortVlans): PortVlans {
  const { untagged, tagged = [] } = vlans;
  const all = untagged === undefined ? tagged : [untagged, ...tagged];
  for (const vlan of all) {
    if (!Number.isInteger(vlan) || vlan < 1 || vlan > VLAN_MAX) {
      throw new RangeError(`a VLAN is a number from 1 to ${VLAN_MAX}, not ${vlan}`);
    }
  }
  if (all.length === 0) throw new RangeError('a port is in one VLAN or more');
  if (new Set(all).size < all.length) {
    throw new RangeError(`a port is in each VLAN once, not in ${all.join(', ')}`);
  }
  return vlans;
}

export function isMember({ untagged, tagged = [] }: PortVlans, vlan: number): boolean {
  return untagged === vlan || tagged.includes(vlan);
}

/** A frame on its way through the switch, with and without its tag: each form is made once. */
export class TaggedForms {
  /** The frame's VLAN; 0 when it is of none that the port it came from is in. */
  readonly vlan: number;
  private readonly control: number;
  private readonly isTagged: boolean;
  private readonly frame: Frame;
  /** Those that were needed and are not the frame itself. */
  private readonly made: { tagged?: Frame; untagged?: Frame } = {};

  /** @param frame has an Ethernet header at least */
  constructor(frame: Frame, from: PortVlans) {
    this.frame = frame;
    const { bytes } = frame;
    this.isTagged =
      bytes.length >= ETHERNET_HEADER_BYTES + TAG_BYTES &&
      u16At(bytes, TAG_OFFSET) === ETHERTYPE_VLAN;
    this.control = this.isTagged ? u16At(bytes, TAG_OFFSET + 2) : 0;
    const named = this.control & VLAN_MASK;
    // A tag that names no VLAN has a priority and nothing else. Without it, one behind it would be the
    // frame's own, and would name a VLAN that the port may not be in.
    const isHiding = this.isTagged && isVlanTag(u16At(bytes, TAG_OFFSET + TAG_BYTES));
    if (named === 0) this.vlan = isHiding ? 0 : (from.untagged ?? 0);
    else this.vlan = from.tagged?.includes(named) === true ? named : 0;
  }

  /** The frame as it leaves through a port, which is in its VLAN; without a rest where it changes. */
  leaving(to: PortVlans): Frame {
    if (to.untagged === this.vlan) {
      if (!this.isTagged) return this.frame;
      this.frame.rest?.fetch();
      this.made.untagged ??= { ...this.frame, bytes: this.untagged() };
      return this.made.untagged;
    }
    if (this.isTagged && (this.control & VLAN_MASK) === this.vlan) return this.frame;
    this.frame.rest?.fetch();
    this.made.tagged ??= { ...this.frame, bytes: this.tagged() };
    return this.made.tagged;
  }

  private tagged(): Uint8Array {
    const bytes = this.isTagged ? this.untagged() : this.frame.bytes;
    const made = new Uint8Array(bytes.length + TAG_BYTES);
    made.set(bytes.subarray(0, TAG_OFFSET));
    const control = (this.control & PRIORITY_MASK) | this.vlan;
    made.set(
      [ETHERTYPE_VLAN >> 8, ETHERTYPE_VLAN & 0xff, control >> 8, control & 0xff],
      TAG_OFFSET,
    );
    made.set(bytes.subarray(TAG_OFFSET), TAG_OFFSET + TAG_BYTES);
    return made;
  }

  private untagged(): Uint8Array {
    const { bytes } = this.frame;
    const made = new Uint8Array(bytes.length - TAG_BYTES);
    made.set(bytes.subarray(0, TAG_OFFSET));
    made.set(bytes.subarray(TAG_OFFSET + TAG_BYTES), TAG_OFFSET);
    return made;
  }
}
