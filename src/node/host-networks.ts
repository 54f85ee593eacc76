/** The IPv4 networks that this host reaches, for whoever is about to make another one. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { XenError } from '../base/errors.ts';
import { parseIpAddress } from '../net/ip-address.ts';
import {
  type Ipv4Range,
  ipv4Number,
  rangeAround,
  rangesOverlap,
  rangeText,
} from '../net/ipv4-range.ts';

export interface HostNetwork {
  readonly range: Ipv4Range;
  /** The interface that leads there. */
  readonly name: string;
}

const bitCount = (mask: number) => mask.toString(2).replace(/0/g, '').length;

/** Reads what the kernel tells in /proc/net/route, whose addresses are hexadecimal, their last byte first. */
export function parseRoutes(table: string): HostNetwork[] {
  const address = (text: string) => ipv4Number(Uint8Array.from(Buffer.from(text, 'hex').reverse()));
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))
    .filter((fields) => fields.length > 7)
    .map(([name = '', target = '', , , , , , mask = '']) => ({
      name,
      range: rangeAround(address(target), bitCount(address(mask))),
    }));
}

function addressedNetworks(): HostNetwork[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses
      .filter(({ family }) => family === 'IPv4')
      .map(({ address, netmask }) => ({
        name,
        range: rangeAround(
          ipv4Number(parseIpAddress(address)),
          bitCount(ipv4Number(parseIpAddress(netmask))),
        ),
      })),
  );
}

/** Addresses of this host's own, and where routes lead to; the one to everywhere else is none of them. */
export function hostNetworks(): HostNetwork[] {
  const routes = parseRoutes(readFileSync('/proc/net/route', 'latin1'));
  return [...addressedNetworks(), ...routes].filter(({ range }) => range.prefix > 0);
}

/** Throws EEXIST, naming the other, for a range that overlaps with one of `networks`. */
export function checkNoOverlap(range: Ipv4Range, networks: readonly HostNetwork[]): void {
  const other = networks.find((network) => rangesOverlap(network.range, range));
  if (other === undefined) return;
  throw new XenError(
    'EEXIST',
    `use the address range ${rangeText(range)}`,
    `it overlaps with ${rangeText(other.range)} of this host's ${other.name}`,
  );
}
