/** The templates of `paravane new` on the engine, with their peers in the same domain. */
import { SHUTDOWN_crash, SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { latin1Decode, latin1Encode } from '../../src/base/bytes.ts';
import { sleep } from '../../src/base/clock.ts';
import { type LogFields, logTo } from '../../src/base/log.ts';
import { MemoryDisk } from '../../src/block/memory-disk.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { openUnikernelHypervisor } from '../../src/hypervisor/unikernel/hypervisor.ts';
import { connectVchan } from '../../src/vchan/client.ts';
import { vchanPath } from '../../src/vchan/keys.ts';
import { startBlkback } from '../../stubdoms/blkback/service.ts';
import { startGuest } from '../../stubdoms/templates/guest/guest.ts';
import { startService } from '../../stubdoms/templates/service/service.ts';
import { checks } from './checks.ts';
import { attachOwnDisk, startOwnStore } from './own-host.ts';

const XVDA = 51712;
const SIZE = 256 * 1024;

const clock = eventLoop();
const { xen } = clock;
const { check, failures } = checks(xen);
const hypervisor = openUnikernelHypervisor();
const { domid } = hypervisor;
const said = new Map<string, LogFields>();
const log = logTo((_, message, fields) => said.set(message, fields));
const store = startOwnStore(hypervisor, clock, log);
// The store knows of no domain but its own: a client that is in ours is there, whatever it says.
const xenstore = Object.create(store, { isDomainIntroduced: { value: async () => true } });
const parts = { hypervisor, xenstore, clock, log };

async function useService(): Promise<void> {
  const service = await startService({ ...parts, commandLine: `client=${domid}` });
  const vchan = await connectVchan(parts, domid, vchanPath(domid, domid, 'service'));
  const words = 'it is 5 past 12, Mr. White';
  vchan.write(latin1Encode(words));
  const answer = new Uint8Array(words.length);
  for (let length = 0; length < words.length; await sleep(clock, 1)) {
    length += vchan.read(answer.subarray(length));
  }
  check('the service answers', () => latin1Decode(answer) === words.toUpperCase());
  vchan.close();
  await service.close();
}

async function useGuest(): Promise<void> {
  const memory = new MemoryDisk(SIZE);
  await memory.write(0, [new Uint8Array(SIZE).fill(3)]);
  const backend = await startBlkback({
    ...parts,
    options: { driverDomain: true },
    openDisk: async () => memory,
  });
  await attachOwnDisk(store, domid, XVDA, 'memory');
  const guest = await startGuest({ ...parts, commandLine: '' });
  const found = said.get('xvda was read');
  check('the guest reads its disk', () => found?.size === SIZE && found.sum === 3 * SIZE);
  await guest.close();
  await backend.close();
}

async function main(): Promise<void> {
  await useService();
  await useGuest();
  xen.shutDown(failures() === 0 ? SHUTDOWN_poweroff : SHUTDOWN_crash);
}

void main();
