/** A disk that fails and dawdles on purpose, by a seed: for tests of whatever stands on top of it. */
import { type Clock, sleep } from '../base/clock.ts';
import { XenError } from '../base/errors.ts';
import { Prng } from '../base/prng.ts';
import type { BlockDevice } from './block-device.ts';
import { DiskLayer } from './disk-layer.ts';

/** The first two are probabilities from 0 (never) to 1. */
export interface DiskFaults {
  /** An operation fails with EIO and does nothing. */
  fail: number;
  /** An operation begins late, by up to `delay_ms_max`. */
  delay: number;
  delay_ms_max: number;
}

export class FaultyDisk extends DiskLayer {
  /** May be changed at any time. */
  readonly faults: DiskFaults;
  private readonly clock: Clock;
  private readonly prng: Prng;

  constructor(below: BlockDevice, clock: Clock, seed: number, faults: Partial<DiskFaults> = {}) {
    super(below);
    this.clock = clock;
    this.prng = new Prng(seed);
    this.faults = { fail: 0, delay: 0, delay_ms_max: 5, ...faults };
  }

  override async read(position: number, targets: readonly Uint8Array[]): Promise<void> {
    await this.misbehave('read');
    await this.below.read(position, targets);
  }

  override async write(position: number, sources: readonly Uint8Array[]): Promise<void> {
    await this.misbehave('write');
    await this.below.write(position, sources);
  }

  override async flush(): Promise<void> {
    await this.misbehave('flush');
    await this.below.flush();
  }

  override async discard(position: number, length: number): Promise<void> {
    await this.misbehave('discard');
    await this.below.discard(position, length);
  }

  private async misbehave(operation: string): Promise<void> {
    const { faults, prng } = this;
    const fails = prng.chance(faults.fail);
    if (prng.chance(faults.delay)) await sleep(this.clock, prng.below(faults.delay_ms_max + 1));
    if (fails) throw new XenError('EIO', `${operation} on a disk`, 'fault on purpose');
  }
}
