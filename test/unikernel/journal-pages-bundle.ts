/**
 * xenstored with its journal in pages of another domain, as many as `pages=` says. It says what it has found
 * there, and then counts on in a node, and says every number that was acknowledged, until somebody ends it.
 */
import { GNTTAB_NR_RESERVED_ENTRIES } from '../../src/abi/grant_table.ts';
import { latin1Decode } from '../../src/base/bytes.ts';
import { domId, grantRef } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { openUnikernelHypervisor } from '../../src/hypervisor/unikernel/hypervisor.ts';
import { JournalPages } from '../../src/xenstored/journal/journal-pages.ts';
import { recover } from '../../src/xenstored/journal/recovery.ts';
import { DEFAULT_OPTIONS } from '../../src/xenstored/options.ts';
import type { ServerState } from '../../src/xenstored/state.ts';
import { bytesOf } from '../../src/xenstored/value.ts';
import { startOwnStore } from './own-host.ts';

/** As native/unikernel/host has it. */
const PEER = domId(9);
const EPOCH = 'test';
const COUNT = '/tool/count';

const clock = eventLoop();
const { xen } = clock;
const hypervisor = openUnikernelHypervisor();

function openPages(): JournalPages {
  const count = Number(/pages=(\d+)/.exec(xen.commandLine)?.[1]);
  const refs = Array.from({ length: count }, (_, n) => grantRef(GNTTAB_NR_RESERVED_ENTRIES + n));
  return new JournalPages(hypervisor.grants.map(PEER, refs).bytes);
}

/** Its rings have ended with the process that was the domain. */
function nodesOf(found: Uint8Array): ServerState | undefined {
  const state = recover(found, DEFAULT_OPTIONS.quotas, EPOCH, silentLog);
  return state && { ...state, connections: [], domains: [] };
}

function countIn(state: ServerState | undefined): number {
  const node = [...(state?.nodes ?? [])].find(({ path }) => path === COUNT);
  return node === undefined ? 0 : Number(latin1Decode(bytesOf(node.value)).trim());
}

async function main(): Promise<void> {
  const storage = openPages();
  const state = storage.found && nodesOf(storage.found);
  const found = countIn(state);
  xen.print(`found ${found}\n`);
  const store = startOwnStore(hypervisor, clock, silentLog, {
    journal: { storage, epoch: EPOCH, growth: { size_min: 16 * 1024, factor: 2 } },
    state,
  });
  for (let count = found + 1; ; count++) {
    await store.write(COUNT, `${count}${' '.repeat(1000)}`);
    xen.print(`told ${count}\n`);
  }
}

void main();
