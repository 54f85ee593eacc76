/** Leases of DHCP in xenstore, where the domain that gives them may write: `<directory>/<mac>`. */
import type { Clock } from '../../src/base/clock.ts';
import type { DhcpLease } from '../../src/net/dhcp-leases.ts';
import type { LeaseStore } from '../../src/net/dhcp-server.ts';
import { parseIpAddress } from '../../src/net/ip-address.ts';
import { ipv4Number, ipv4Text } from '../../src/net/ipv4-range.ts';
import { type MacAddress, macAddressText, parseMacAddress } from '../../src/net/mac-address.ts';
import { childrenOf } from '../../src/xenstore/directories.ts';
import type { Xenstore } from '../../src/xenstore/xenstore.ts';

/** In dom0, with the directories above it that are ours. */
export const DOM0_LEASES = ['/tool/paravane/dhcp', '/tool/paravane'] as const;
/** In other domains, below their homes, of which this is theirs to write. */
export const OWN_LEASES = ['data/dhcp'] as const;

function parseLease(name: string, value: string): DhcpLease | undefined {
  const [, address, seconds] = /^([\d.]+) (\d{1,12})$/.exec(value) ?? [];
  if (address === undefined) return undefined;
  try {
    const mac = parseMacAddress(name.replace(/-/g, ':'));
    return { mac, address: ipv4Number(parseIpAddress(address)), until_ms: Number(seconds) * 1000 };
  } catch {
    // Not written by us, and nobody's lease.
    return undefined;
  }
}

/** @param directories where the leases are, and what is above that and removed when it is empty */
export function xenstoreLeases(
  xenstore: Xenstore,
  clock: Clock,
  directories: readonly [string, ...string[]],
): LeaseStore {
  const [directory] = directories;
  // No name in xenstore has a colon.
  const nodeOf = (mac: MacAddress) => `${directory}/${macAddressText(mac).replace(/:/g, '-')}`;
  const remove = async (path: string) => {
    if ((await xenstore.readIfPresent(path)) === undefined) return;
    await xenstore.remove(path);
    for (const parent of directories) {
      if ((await childrenOf(xenstore, parent)).length > 0) return;
      await xenstore.remove(parent);
    }
  };
  return {
    async load() {
      const found: DhcpLease[] = [];
      for (const name of await childrenOf(xenstore, directory)) {
        const path = `${directory}/${name}`;
        const lease = parseLease(name, (await xenstore.readIfPresent(path)) ?? '');
        if (lease === undefined || lease.until_ms <= clock.wallclock_ms()) await remove(path);
        else found.push(lease);
      }
      return found;
    },
    async save({ mac, address, until_ms }) {
      await xenstore.write(nodeOf(mac), `${ipv4Text(address)} ${Math.ceil(until_ms / 1000)}`);
    },
    remove: (mac) => remove(nodeOf(mac)),
  };
}
