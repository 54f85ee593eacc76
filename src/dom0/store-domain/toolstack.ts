/** What the store domain needs of Xen's toolstack: native/toolstack/store-domain.c, which asks no xenstore. */
import { XenError } from '../../base/errors.ts';
import { type DomId, domId, type EventPort, eventPort } from '../../base/ids.ts';
import { PAGE_SIZE } from '../../hypervisor/contract.ts';
import { builtProgram, runProgram } from '../toolstack-program.ts';

/** A domain that is xenstored. */
export interface StoreDomain {
  readonly domid: DomId;
  /** The domain that its journal is in. */
  readonly journal: DomId;
  readonly consoleFrame: number;
  readonly consolePort: EventPort;
}

export interface StoreToolstack {
  /** The store domain that runs. Throws `XenError` when it is one that keeps its journal to itself. */
  find(): Promise<StoreDomain | undefined>;
  /** Starts one on the journal that there is: under the domid of the one before, if there was one. */
  start(): Promise<StoreDomain>;
  destroy(domid: DomId): Promise<void>;
}

export interface StoreDomainForm {
  /** The file that `paravane build xenstored` has made. */
  readonly image: string;
  readonly memory_mib: number;
  /** Of the journal's memory, where it has to be made. */
  readonly journalBytes: number;
  /** Processors of the host that it may run on; all of them when absent. */
  readonly cpus?: readonly number[] | undefined;
}

/** What the program says of a domain; `undefined` where it has found none. Throws EIO on anything else. */
export function parseDomain(line: string): StoreDomain | undefined {
  if (line === '') return undefined;
  const numbers = line.trim().split(' ').map(Number);
  const [domid, journal, consoleFrame, consolePort] = numbers;
  if (numbers.length !== 4 || consoleFrame === undefined || !numbers.every(Number.isSafeInteger)) {
    throw new XenError('EIO', 'look for the store domain', `store-domain says: ${line}`);
  }
  return {
    domid: domId(domid as number),
    journal: domId(journal as number),
    consoleFrame,
    consolePort: eventPort(consolePort as number),
  };
}

const run = (...words: string[]) => runProgram(builtProgram('store-domain'), words);

/** The toolstack of this host. Image and form are read anew each time that a domain is started. */
export function hostStoreToolstack(form: StoreDomainForm): StoreToolstack {
  return {
    find: async () => parseDomain(await run('find')),
    async start() {
      const pages = Math.ceil(form.journalBytes / PAGE_SIZE);
      const numbers = [form.memory_mib, pages, ...(form.cpus ?? [])];
      const out = await run('start', form.image, ...numbers.map(String));
      const domain = parseDomain(out);
      if (domain === undefined) {
        throw new XenError('EIO', 'start the store domain', 'it has ended at once');
      }
      return domain;
    },
    destroy: async (domid) => void (await run('destroy', String(domid))),
  };
}
