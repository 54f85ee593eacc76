/** A disk that moves no more than so many bytes a second; what comes faster waits in order. */
import type { Clock } from '../base/clock.ts';
import { sleep } from '../base/clock.ts';
import type { BlockDevice } from './block-device.ts';
import { byteLength, DiskLayer } from './disk-layer.ts';

/** How much of the allowance an idle disk saves up. */
const BURST_MS = 100;

export class RateLimitedDisk extends DiskLayer {
  private readonly clock: Clock;
  private readonly bytesPerMs: number;
  /** Until then the allowance is spent. */
  private spentUntil_ms: number;

  /** @param bytesPerSecond of reading and writing together, at least 1 */
  constructor(below: BlockDevice, clock: Clock, bytesPerSecond: number) {
    super(below);
    if (!(bytesPerSecond >= 1)) {
      throw new RangeError(`a rate is 1 byte a second or more, not ${bytesPerSecond}`);
    }
    this.clock = clock;
    this.bytesPerMs = bytesPerSecond / 1000;
    this.spentUntil_ms = clock.now_ms() - BURST_MS;
  }

  override async read(position: number, targets: readonly Uint8Array[]): Promise<void> {
    await this.wait(byteLength(targets));
    await this.below.read(position, targets);
  }

  override async write(position: number, sources: readonly Uint8Array[]): Promise<void> {
    await this.wait(byteLength(sources));
    await this.below.write(position, sources);
  }

  /** Spends `bytes` of the allowance, once all that was asked before is spent. */
  private async wait(bytes: number): Promise<void> {
    const now_ms = this.clock.now_ms();
    const begin_ms = Math.max(this.spentUntil_ms, now_ms - BURST_MS);
    this.spentUntil_ms = begin_ms + bytes / this.bytesPerMs;
    const delay_ms = this.spentUntil_ms - now_ms;
    if (delay_ms > 0) await sleep(this.clock, delay_ms);
  }
}
