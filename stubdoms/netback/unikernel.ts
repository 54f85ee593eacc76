/**
 * What the network back end is made of, as a stub domain of its own: a switch for its guests, and its own
 * first interface, if it has one, as the way out. `dhcp=10.0.0.0/24` on the domain's command line has it
 * give addresses.
 */
import { errorCode } from '../../src/base/errors.ts';
import { NetFront } from '../../src/net/front.ts';
import { parseIpv4Range } from '../../src/net/ipv4-range.ts';
import { runStubDomain } from '../stub-domain.ts';
import { startNetback } from './service.ts';
import { SwitchNetwork } from './switch-network.ts';
import { OWN_LEASES, xenstoreLeases } from './xenstore-leases.ts';

const UPLINK = 0;

runStubDomain(async (domain) => {
  const { clock, log, xenstore } = domain;
  const leases = xenstoreLeases(xenstore, clock, OWN_LEASES);
  const network = new SwitchNetwork({ clock, log, leases, filter: true });
  const [, dhcp] = /(?:^|\s)dhcp=(\S+)/.exec(domain.commandLine) ?? [];
  if (dhcp !== undefined) await network.serveDhcp(parseIpv4Range(dhcp));
  const uplink = await ownInterface();
  if (uplink !== undefined) network.addUplink(uplink, { name: 'uplink0' });
  const netback = await startNetback({
    ...domain,
    options: { driverDomain: true },
    networkFor: (name) => network.networkFor(name),
  });
  return {
    async close() {
      await netback.close();
      network.close();
      await uplink?.close();
    },
  };

  async function ownInterface(): Promise<NetFront | undefined> {
    try {
      return await NetFront.connect({ ...domain, devid: UPLINK });
    } catch (error) {
      // Without one, the guests have each other.
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
});
