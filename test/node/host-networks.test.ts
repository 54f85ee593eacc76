/** The networks of a host, and ranges that would overlap with them. */
import { expect, test } from 'vitest';
import { parseIpv4Range, rangeText } from '../../src/net/ipv4-range.ts';
import { checkNoOverlap, hostNetworks, parseRoutes } from '../../src/node/host-networks.ts';

const TABLE = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
vpn0\t0000000A\t00000000\t0001\t0\t0\t0\t0000FF0F\t0\t0\t0
`;

test('routes are read as the kernel writes them', () => {
  expect(parseRoutes(TABLE).map(({ name, range }) => `${name} ${rangeText(range)}`)).toEqual([
    'eth0 0.0.0.0/0',
    'eth0 192.168.2.0/24',
    'vpn0 10.0.0.0/12',
  ]);
});

test('a range that overlaps is refused, and told is with what', () => {
  const networks = parseRoutes(TABLE).slice(1);
  expect(() => checkNoOverlap(parseIpv4Range('10.1.0.0/16'), networks)).toThrow(
    "10.1.0.0/16: it overlaps with 10.0.0.0/12 of this host's vpn0 (EEXIST)",
  );
  expect(() => checkNoOverlap(parseIpv4Range('192.168.0.0/16'), networks)).toThrow(/eth0/);
  checkNoOverlap(parseIpv4Range('10.16.0.0/12'), networks);
});

test("this host's own networks have its loopback, and not the way to everywhere", () => {
  const networks = hostNetworks();
  expect(networks.map(({ range }) => rangeText(range))).toContain('127.0.0.0/8');
  expect(networks.every(({ range }) => range.prefix > 0)).toBe(true);
});
