/**
 * What xenstored is made of, as a stub domain of its own. Its command line tells it where dom0's kernel
 * waits, and where its journal is:
 *
 *     --event PORT            dom0's event channel
 *     --master-domid DOMID    the domain of that kernel, if it is not dom0
 *     --journal-domid DOMID   the domain whose memory the journal has
 *     --journal-pages COUNT   how many pages that domain has granted for it
 *
 * `paravane run store-domain` gives the latter two, and starts another domain when this one has ended,
 * which goes on from there as a process of dom0 goes on from its journal's file. `init-xenstore-domain`
 * does not: then the journal is memory of the domain, and outlives the script alone. In both cases the
 * kernel runs a script anew that has failed. A live update leaves the whole state in place of the journal,
 * for the script of another image.
 */
import { GNTTAB_NR_RESERVED_ENTRIES, GNTTAB_RESERVED_XENSTORE } from '../../src/abi/grant_table.ts';
import { XenError } from '../../src/base/errors.ts';
import { domId, eventPort, grantRef } from '../../src/base/ids.ts';
import type { Log } from '../../src/base/log.ts';
import type { GrantTable } from '../../src/hypervisor/contract.ts';
import { consoleLog } from '../../src/hypervisor/unikernel/console.ts';
import { UnikernelDomainControl } from '../../src/hypervisor/unikernel/domain-control.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { openUnikernelHypervisor } from '../../src/hypervisor/unikernel/hypervisor.ts';
import { KeptBytes } from '../../src/hypervisor/unikernel/kept-bytes.ts';
import { JournalPages } from '../../src/xenstored/journal/journal-pages.ts';
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
const OWN_MEMORY_GROWTH = { size_min: 64 * 1024, factor: 2 };
/** The rings of guests are granted to this domid, whichever domain has it. */
const EPOCH = `domain ${xen.domid}`;

/** A script that was asked to leave has left its state, one that has failed its journal. */
function stateIn(kept: Uint8Array, log: Log): ServerState | undefined {
  if (isEncodedState(kept)) return decodeState(kept).state;
  return recover(kept, DEFAULT_OPTIONS.quotas, EPOCH, log);
}

/** The journal in the pages that the command line names, if it does. */
function grantedPages(grants: GrantTable): JournalPages | undefined {
  const domid = numberOption('journal-domid');
  const count = numberOption('journal-pages');
  if (domid === undefined || count === undefined) return undefined;
  const refs = Array.from({ length: count }, (_, page) =>
    grantRef(GNTTAB_NR_RESERVED_ENTRIES + page),
  );
  const { bytes } = grants.map(domId(domid), refs);
  // The kernel runs a failed script anew where it has kept something of its own.
  if (xen.kept().byteLength === 0) xen.keep(Uint8Array.of(1), false);
  return new JournalPages(bytes);
}

/** Where there is memory for a journal, it and what was left in it. */
function openJournal(grants: GrantTable, log: Log) {
  const pages = grantedPages(grants);
  if (pages === undefined && xen.memory().total < JOURNAL_MEMORY_MIN) {
    log.warn('without a journal: a failure of this xenstored would lose its state', {
      needed: JOURNAL_MEMORY_MIN,
    });
    return {};
  }
  const storage = pages ?? new KeptBytes(xen);
  const growth = pages === undefined ? OWN_MEMORY_GROWTH : undefined;
  const state = storage.found && stateIn(storage.found, log);
  if (state !== undefined) log.info('took up what was kept', { domains: state.domains.length });
  return {
    state,
    journal: { storage, epoch: EPOCH, growth },
    succession: successionOf(xen, storage),
  };
}

function start(): void {
  const port = numberOption('event');
  if (port === undefined) {
    const how = "who starts a store domain gives it as --event PORT on the domain's command line";
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
    ...openJournal(hypervisor.grants, log),
  });
  const master = domId(masterDomid);
  xenstored.attachKernelRing(
    hypervisor.grants.map(master, [grantRef(GNTTAB_RESERVED_XENSTORE)]),
    hypervisor.events.bindInterdomain(master, eventPort(port)),
  );
  log.info('xenstored is ready', { domid: xen.domid, unused: xen.memory().unused });
}

start();
