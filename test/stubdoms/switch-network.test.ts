/** What a network's name and a range of addresses ask of the switch. */
import { expect, test } from 'vitest';
import { parseIpv4Range } from '../../src/net/ipv4-range.ts';
import { checkDhcpRange, portVlans } from '../../stubdoms/netback/switch-network.ts';

test('the name of a network says which VLANs a guest is in', () => {
  expect(portVlans(undefined)).toEqual({ untagged: 1 });
  expect(portVlans('xenbr0')).toEqual({ untagged: 1 });
  expect(portVlans('lan.10')).toEqual({ untagged: 10, tagged: [] });
  expect(portVlans('lan:20:30')).toEqual({ tagged: [20, 30] });
  expect(portVlans('lan.10:20')).toEqual({ untagged: 10, tagged: [20] });
});

test.each(['lan.', 'lan.x', 'lan:', 'lan.10.20', 'lan.12345', 'lan:10,20'])(
  '%j is no network',
  (bridge) => {
    expect(() => portVlans(bridge)).toThrow(/a network is NAME, NAME\.VLAN or NAME:VLAN:VLAN/);
  },
);

test('a range that leaves nobody an address, or is too large, is refused', () => {
  for (const wrong of ['10.0.0.0/8', '10.0.0.0/30', '10.0.0.0/32']) {
    expect(() => checkDhcpRange(parseIpv4Range(wrong))).toThrow(/a prefix from 16 to 29/);
  }
  checkDhcpRange(parseIpv4Range('10.0.0.0/29'));
});
