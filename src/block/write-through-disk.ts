/** A disk of which everything that is written is on stable storage at once, for whoever has no way to flush it. */
import { DiskLayer } from './disk-layer.ts';

export class WriteThroughDisk extends DiskLayer {
  override async write(position: number, sources: readonly Uint8Array[]): Promise<void> {
    await this.below.write(position, sources);
    await this.below.flush();
  }
}
