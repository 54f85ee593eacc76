/**
 * xenstored with its journal in memory that outlives the script. The first time it takes a node and then
 * fails; the second time it says what it has found.
 */
import { SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { latin1Decode } from '../../src/base/bytes.ts';
import { silentLog } from '../../src/base/log.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { openUnikernelHypervisor } from '../../src/hypervisor/unikernel/hypervisor.ts';
import { KeptBytes } from '../../src/hypervisor/unikernel/kept-bytes.ts';
import { recover } from '../../src/xenstored/journal/recovery.ts';
import { DEFAULT_OPTIONS } from '../../src/xenstored/options.ts';
import { bytesOf } from '../../src/xenstored/value.ts';
import { startOwnStore } from './own-host.ts';

const EPOCH = 'test';
/** The kernel runs no script anew that has failed sooner. */
const FAILS_AFTER_MS = 6000;

const clock = eventLoop();
const { xen } = clock;
const storage = new KeptBytes(xen);

async function first(): Promise<void> {
  const hypervisor = openUnikernelHypervisor();
  const journal = { storage, epoch: EPOCH, growth: { size_min: 64 * 1024, factor: 2 } };
  const store = startOwnStore(hypervisor, clock, silentLog, { journal });
  // Many times what a run of pages holds, so that it is rewritten, too.
  for (let n = 0; n < 400; n++) await store.write('/tool/kept', `${n} ${'x'.repeat(1000)}`);
  clock.after(FAILS_AFTER_MS, () => {
    xen.print(`journal: ${storage.length}\n`);
    throw new Error('on purpose');
  });
}

function second(found: Uint8Array): void {
  const state = recover(found, DEFAULT_OPTIONS.quotas, EPOCH, silentLog);
  const node = [...(state?.nodes ?? [])].find(({ path }) => path === '/tool/kept');
  xen.print(`found: ${node && latin1Decode(bytesOf(node.value)).slice(0, 5)}\n`);
  // Ports and pages of the first script have ended: the same can be had again.
  const { unused, total } = xen.memory();
  xen.print(`in use: ${total - unused - storage.length < 256 * 1024}\n`);
  xen.shutDown(SHUTDOWN_poweroff);
}

if (storage.found === undefined) void first();
else second(storage.found);
