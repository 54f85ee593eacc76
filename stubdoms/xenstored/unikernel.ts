/**
 * What xenstored is made of, as a stub domain of its own. `init-xenstore-domain` starts it, and tells
 * it on its command line where dom0's kernel waits:
 *
 *     --event PORT            dom0's event channel
 *     --master-domid DOMID    the domain of that kernel, if it is not dom0
 *
 * Its journal is memory of the domain that outlives the script: when that has failed, the kernel runs it
 * anew, and it goes on from there as a process of dom0 goes on from its journal's file. A live update
 * leaves the whole state there for the script of another image.
 */
import { GNTTAB_RESERVED_XENSTORE } from '../../src/abi/grant_table.ts';
import { XenError } from '../../src/base/errors.ts';
import { domId, eventPort, grantRef } from '../../src/base/ids.ts';
import type { Log } from '../../src/base/log.ts';
import { consoleLog } from '../../src/hypervisor/unikernel/console.ts';
import { UnikernelDomainControl } from '../../src/hypervisor/unikernel/domain-control.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { openUnikernelHypervisor } from '../../src/hypervisor/unikernel/hypervisor.ts';
import { KeptBytes } from '../../src/hypervisor/unikernel/kept-bytes.ts';
import { recover } from '../../src/xenstored/journal/recovery.ts';
import { DEFAULT_OPTIONS } from '../../src/xenstored/options.ts';
import { startXenstored } from '../../src/xenstored/server.ts';
import type { ServerState } from '../../src/xenstored/state.ts';
import { decodeState, isEncodedState } from '../../src/xenstored/state-encoding.ts';
import { successionOf } from './image-succession.ts';

const loop = eventLoop();
const { xen } = loop;

/** The number that follows `--NAME` on the command line. */
function numberOption(name: string): number | undefined {
  const [, value] = new RegExp(`(?:^| )--${name}[ =](\\d+)(?: |$)`).exec(xen.commandLine) ?? [];
  return value === undefined ? undefined : Number(value);
}

/** The journal has room for as much again as the state takes; below this there is better use for the memory. */
const JOURNAL_MEMORY_MIN = 12 << 20;
/** Rewritten early, since its memory is the state's, too. */
const JOURNAL_GROWTH = { size_min: 64 * 1024, factor: 2 };
/** The rings of guests outlive the script, and so does the journal: both end with the domain. */
const EPOCH = 'this domain';

/** A script that was asked to leave has left its state, one that has failed its journal. */
function stateIn(kept: Uint8Array, log: Log): ServerState | undefined {
  if (isEncodedState(kept)) return decodeState(kept).state;
  return recover(kept, DEFAULT_OPTIONS.quotas, EPOCH, log);
}

/** Where there is memory for a journal, it and what the script before this one has left in it. */
function openJournal(log: Log) {
  if (xen.memory().total < JOURNAL_MEMORY_MIN) {
    log.warn('without a journal: a failure of this xenstored would lose its state', {
      needed: JOURNAL_MEMORY_MIN,
    });
    return {};
  }
  const storage = new KeptBytes(xen);
  const state = storage.found && stateIn(storage.found, log);
  if (state !== undefined) log.info('took up what was kept', { domains: state.domains.length });
  return {
    state,
    journal: { storage, epoch: EPOCH, growth: JOURNAL_GROWTH },
    succession: successionOf(xen, storage),
  };
}

function start(): void {
  const port = numberOption('event');
  if (port === undefined) {
    const how = "init-xenstore-domain gives it as --event PORT on the domain's command line";
    throw new XenError('EINVAL', "find dom0's event channel", how);
  }
  const masterDomid = numberOption('master-domid') ?? 0;
  const hypervisor = openUnikernelHypervisor();
  const log = consoleLog(xen);
  const xenstored = startXenstored({
    hypervisor,
    domainControl: new UnikernelDomainControl(xen),
    clock: loop,
    log,
    options: { masterDomid },
    ...openJournal(log),
  });
  const master = domId(masterDomid);
  xenstored.attachKernelRing(
    hypervisor.grants.map(master, [grantRef(GNTTAB_RESERVED_XENSTORE)]),
    hypervisor.events.bindInterdomain(master, eventPort(port)),
  );
  log.info('xenstored is ready', { domid: xen.domid, unused: xen.memory().unused });
}

start();
