/** Which groups a guest wants to hear, where it has asked not to hear all of them. */
import { BROADCAST, isGroupAddress, type MacAddress } from './mac-address.ts';

/** As many as Linux's netback keeps for one interface. */
export const GROUPS_MAX = 64;

export class MulticastFilter {
  /** Without it everything passes, and the list is kept all the same. */
  isActive = false;
  private readonly groups = new Set<MacAddress>();

  /** False when the list is full. */
  join(group: MacAddress): boolean {
    if (this.groups.size >= GROUPS_MAX && !this.groups.has(group)) return false;
    this.groups.add(group);
    return true;
  }

  leave(group: MacAddress): void {
    this.groups.delete(group);
  }

  passes(target: MacAddress): boolean {
    return (
      !this.isActive || target === BROADCAST || !isGroupAddress(target) || this.groups.has(target)
    );
  }
}
