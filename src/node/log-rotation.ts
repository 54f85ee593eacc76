/**
 * Old logs beside the current one: NAME.1 is the newest of them, and so on, each compressed with
 * gzip where that is wanted. Whatever a crash leaves half done, the next log of the name sets right.
 */
import { createReadStream, createWriteStream, existsSync, renameSync, rmSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { errorMessage } from '../base/errors.ts';
import type { Log } from '../base/log.ts';

export interface RotationRules {
  /** A log that has this many bytes is put aside; 0 for no such limit. */
  readonly size_bytes: number;
  /** A log that was begun so long ago is put aside; 0 for no such limit. */
  readonly age_ms: number;
  /** Old logs that are kept; at least 1. */
  readonly keep: number;
  readonly compress: boolean;
}

export const NO_ROTATION: RotationRules = { size_bytes: 0, age_ms: 0, keep: 1, compress: false };

/** Which old logs are being compressed, by the paths of their logs: one log may be open twice for a while. */
const compressions = new Map<string, Promise<void>>();

const withSuffix = (path: Buffer, suffix: string) => Buffer.concat([path, Buffer.from(suffix)]);

export class LogRotation {
  private readonly path: Buffer;
  private readonly rules: RotationRules;
  private readonly log: Log;

  constructor(path: Buffer, rules: RotationRules, log: Log) {
    this.path = path;
    this.rules = rules;
    this.log = log;
    if (this.rotates && this.compressing === undefined) this.setRight();
  }

  /** Whether a log of so many bytes, begun at `begun_ms` since 1970, is to be put aside now. */
  isDue(size: number, begun_ms: number): boolean {
    const { size_bytes, age_ms } = this.rules;
    if (size === 0 || this.compressing !== undefined) return false;
    if (size_bytes > 0 && size >= size_bytes) return true;
    return age_ms > 0 && Date.now() - begun_ms >= age_ms;
  }

  /** Moves the log aside. Throws an error with a `code` when the file system refuses. */
  rotate(): void {
    const { keep, compress } = this.rules;
    this.remove(keep);
    for (let n = keep - 1; n >= 1; n--) {
      for (const ending of ['', '.gz']) {
        const old = this.numbered(n, ending);
        if (existsSync(old)) renameSync(old, this.numbered(n + 1, ending));
      }
    }
    renameSync(this.path, this.numbered(1));
    if (compress) this.compressNewest();
  }

  /** Resolves when nothing is being compressed any more. */
  async settled(): Promise<void> {
    await this.compressing;
  }

  private get compressing(): Promise<void> | undefined {
    return compressions.get(this.key);
  }

  private get key(): string {
    return this.path.toString('latin1');
  }

  private get rotates(): boolean {
    return this.rules.size_bytes > 0 || this.rules.age_ms > 0;
  }

  private numbered(n: number, ending = ''): Buffer {
    return withSuffix(this.path, `.${n}${ending}`);
  }

  private remove(n: number): void {
    for (const ending of ['', '.gz']) rmSync(this.numbered(n, ending), { force: true });
  }

  /** A compressed log that is whole stands beside its original only if nobody had time to remove that. */
  private setRight(): void {
    rmSync(this.numbered(1, '.gz.part'), { force: true });
    if (!existsSync(this.numbered(1))) return;
    if (existsSync(this.numbered(1, '.gz'))) rmSync(this.numbered(1));
    else if (this.rules.compress) this.compressNewest();
  }

  private compressNewest(): void {
    const done = this.compress()
      .catch((error) => {
        rmSync(this.numbered(1, '.gz.part'), { force: true });
        this.log.warn('cannot compress an old log', { error: errorMessage(error) });
      })
      .finally(() => compressions.delete(this.key));
    compressions.set(this.key, done);
  }

  private async compress(): Promise<void> {
    const part = this.numbered(1, '.gz.part');
    await pipeline(
      createReadStream(this.numbered(1)),
      createGzip(),
      createWriteStream(part, { mode: 0o644 }),
    );
    renameSync(part, this.numbered(1, '.gz'));
    rmSync(this.numbered(1));
  }
}
