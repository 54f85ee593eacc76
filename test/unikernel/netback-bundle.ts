/**
 * The network back end on the engine: xenstored, the switch, and both ends of two interfaces in one
 * domain, which talks to itself through both.
 */
import { SHUTDOWN_crash, SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { sleep } from '../../src/base/clock.ts';
import { consoleLog } from '../../src/hypervisor/unikernel/console.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { openUnikernelHypervisor } from '../../src/hypervisor/unikernel/hypervisor.ts';
import { NetFront } from '../../src/net/front.ts';
import { parseIpv4Range } from '../../src/net/ipv4-range.ts';
import { type MacAddress, macAddressText } from '../../src/net/mac-address.ts';
import { XenstoreClient } from '../../src/xenstore/client.ts';
import { xenstoreRingStream } from '../../src/xenstore/ring-transport.ts';
import { startXenstored } from '../../src/xenstored/server.ts';
import { startNetback } from '../../stubdoms/netback/service.ts';
import { SwitchNetwork } from '../../stubdoms/netback/switch-network.ts';
import { OWN_LEASES, xenstoreLeases } from '../../stubdoms/netback/xenstore-leases.ts';
import { frame, MAC_A, MAC_B, packet, pattern } from '../net/packets.ts';
import { checks } from './checks.ts';

const FRAMES = 400;

const clock = eventLoop();
const { xen } = clock;
const { check, failures } = checks(xen);
const hypervisor = openUnikernelHypervisor();
const { domid } = hypervisor;
const log = consoleLog(xen);

function startStore(): XenstoreClient {
  const page = hypervisor.grants.share(domid, 1, 'read-write');
  const channel = hypervisor.events.allocateUnbound(domid);
  const xenstored = startXenstored({ hypervisor, clock, log });
  xenstored.attachKernelRing(
    hypervisor.grants.map(domid, page.refs),
    hypervisor.events.bindInterdomain(domid, channel.port),
  );
  return new XenstoreClient(xenstoreRingStream(page, channel, 'client'), clock);
}

async function attach(store: XenstoreClient, devid: number, mac: MacAddress): Promise<void> {
  const home = `/local/domain/${domid}`;
  const front = `${home}/device/vif/${devid}`;
  const back = `${home}/backend/vif/${domid}/${devid}`;
  const own = { mac: macAddressText(mac), handle: String(devid), state: '1' };
  await store.transaction(async (nodes) => {
    const write = async (path: string, keys: Record<string, string>) => {
      for (const [key, value] of Object.entries(keys)) await nodes.write(`${path}/${key}`, value);
    };
    await write(front, { backend: back, 'backend-id': String(domid), ...own });
    await write(back, { frontend: front, 'frontend-id': String(domid), online: '1', ...own });
  });
}

async function main(): Promise<void> {
  const xenstore = startStore();
  const parts = { hypervisor, xenstore, clock, log };
  const leases = xenstoreLeases(xenstore, clock, OWN_LEASES);
  const network = new SwitchNetwork({ clock, log, leases, filter: true });
  await network.serveDhcp(parseIpv4Range('10.0.0.0/24'));
  await startNetback({
    ...parts,
    options: { driverDomain: true },
    networkFor: (name) => network.networkFor(name),
  });
  await attach(xenstore, 0, MAC_A);
  await attach(xenstore, 1, MAC_B);
  const options = { pagesMax: 128 };
  const a = await NetFront.connect({ ...parts, devid: 0, options });
  const b = await NetFront.connect({ ...parts, devid: 1, options });
  check('the interfaces have the addresses that they were given', () => {
    return a.info.mac === MAC_A && b.info.mac === MAC_B;
  });
  const arrived = new Set<number>();
  let isSame = true;
  b.onReceive((frames) => {
    for (const { bytes } of frames) {
      const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(38);
      const expected = packet({ sequence: number, payload: pattern(1400, number) });
      isSame &&= bytes.every((byte, index) => byte === expected[index]);
      arrived.add(number);
    }
  });
  const start_ms = clock.now_ms();
  for (let tries = 0; arrived.size < FRAMES && tries < 1000; tries++) {
    for (let number = 0; number < FRAMES; number++) {
      if (arrived.has(number)) continue;
      const sent = frame(packet({ sequence: number, payload: pattern(1400, number) }));
      if (a.send([sent]) === 0) break;
    }
    await sleep(clock, 1);
  }
  check('every frame has arrived', () => arrived.size === FRAMES);
  check('no frame has changed', () => isSame);
  const took_ms = Math.round(clock.now_ms() - start_ms);
  await a.close();
  await b.close();
  xen.print(`netback: ${JSON.stringify({ ...xen.memory(), took_ms })}\n`);
  xen.shutDown(failures() === 0 ? SHUTDOWN_poweroff : SHUTDOWN_crash);
}

void main();
