/** A store domain in the lab that `paravane run store-domain` keeps, and what operators and accidents do to it. */
import { join } from 'node:path';
import { CHECKOUT } from '../../scripts/lab/debian.ts';
import { type Host, keptStoreOptions, startOurs } from '../../scripts/lab/host.ts';
import type { DomZeroProcess } from '../../scripts/lab/process.ts';

/** Emulated, a domain takes its time to start, and on a loaded machine more. */
const LIMIT_MS = 200_000;

/** What the keeper makes the domain with. */
export const STORE_PROGRAM = join(CHECKOUT, 'native/build/Release/store-domain');
/** What the keeper is told to start: a copy in dom0 alone. */
export const KEPT_IMAGE = '/run/xenstored.elf';

export class KeptStore {
  readonly host: Host;

  constructor(host: Host) {
    this.host = host;
  }

  get keeper(): DomZeroProcess {
    return this.host.daemon('store-domain');
  }

  /** The domid of the domain that runs, as Xen has it. */
  async domid(): Promise<number> {
    return Number((await this.host.lab.run([STORE_PROGRAM, 'find'])).split(' ')[0]);
  }

  async destroyOnly(): Promise<void> {
    await this.host.lab.run([STORE_PROGRAM, 'destroy', String(await this.domid())]);
  }

  /** Destroys the domain and resolves once another one serves. */
  async destroy(): Promise<void> {
    const from = this.keeper.output.length;
    await this.destroyOnly();
    await this.serves(from);
  }

  async serves(from: number, words = /took up what was kept.*xenstored is ready/s): Promise<void> {
    await this.keeper.waitFor(words, LIMIT_MS, from);
  }

  /** Kills the keeper, does `meanwhile`, and starts another. */
  async replaceKeeper(meanwhile: () => Promise<void>): Promise<void> {
    const { keeper } = this;
    keeper.signal('SIGKILL');
    await keeper.exit;
    await meanwhile();
    await this.host.replace('store-domain', 'SIGKILL', (lab) =>
      startOurs(lab, 'store-domain', ...keptStoreOptions(lab, KEPT_IMAGE)),
    );
  }

  /** Puts another image in the place of the present one. */
  async exchange(image: string, words: RegExp): Promise<void> {
    const from = this.keeper.output.length;
    await this.host.lab.run(['cp', image, KEPT_IMAGE]);
    this.keeper.signal('SIGHUP');
    await this.serves(from, words);
  }
}
