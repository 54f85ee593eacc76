/** What a network's name and a range of addresses ask of the switch. */
import { expect, test } from 'vitest';
import { domId } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import { parseIpv4Range } from '../../src/net/ipv4-range.ts';
import { checkDhcpRange, portVlans, SwitchNetwork } from '../../stubdoms/netback/switch-network.ts';
import { MAC_A } from '../net/packets.ts';
import { Station } from '../net/station.ts';

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

test.each([
  ['an address that is none', { addresses: ['10.0.0.5/24'] }, 'an IP address is'],
  ['a VLAN that is none', { bridge: 'lan.4095' }, 'a VLAN is a number'],
])('a guest with %s is not plugged in, filtered or not', (_, wrong, rule) => {
  for (const filter of [true, false]) {
    const { clock } = new SimWorld({ seed: 1 });
    const leases = { load: async () => [], save: async () => {}, remove: async () => {} };
    const network = new SwitchNetwork({ clock, log: silentLog, leases, filter });
    const request = {
      peer: domId(3),
      devid: '0',
      mac: MAC_A,
      mtu: 1500,
      bridge: undefined,
      addresses: [],
      filtered: true,
      name: undefined,
      scripted: false,
      ...wrong,
    };
    const vif = network.networkFor('vif3.0');
    expect(() => vif.plug(new Station(), request)).toThrow(rule);
    expect(network.port('vif3.0')).toBeUndefined();
  }
});
