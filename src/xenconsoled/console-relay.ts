/** The relay of a console domain: connects to it again and again, and holds its viewers meanwhile. */
import type { ByteStream } from '../base/byte-stream.ts';
import { sleep } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import { VIEWERS_MAX } from './console-daemon.ts';
import { RelaySession, type RelaySessionParts } from './relay-session.ts';

/** Between two connections, so that a domain that ends each of them does not keep dom0 busy. */
const PAUSE_MS = 200;

export interface ConsoleRelayParts extends Omit<RelaySessionParts, 'stream'> {
  /** Resolves with a connection to the domain, however long that takes. Asked again where it rejects. */
  readonly connect: () => Promise<ByteStream>;
}

export class ConsoleRelay {
  private readonly parts: ConsoleRelayParts;
  private session: RelaySession | undefined;
  private viewers: ByteStream[] = [];
  private closed = false;

  constructor(parts: ConsoleRelayParts) {
    this.parts = parts;
    void this.run();
  }

  /** Takes a viewer to the domain, once that is there. The stream belongs to the relay from here on. */
  addViewer(viewer: ByteStream): void {
    if (this.session !== undefined) {
      this.session.addViewer(viewer);
      return;
    }
    this.viewers = this.viewers.filter(({ ended }) => !ended);
    if (this.closed || this.viewers.length >= VIEWERS_MAX) viewer.close();
    else this.viewers.push(viewer);
  }

  /** Lets go of the domain, which goes on. Idempotent. */
  async close(): Promise<void> {
    this.closed = true;
    for (const viewer of this.viewers.splice(0)) viewer.close();
    await this.session?.close();
  }

  private async run(): Promise<void> {
    const { connect, clock, log } = this.parts;
    while (!this.closed) {
      try {
        await this.serve(await connect());
      } catch (error) {
        if (!this.closed) log.error('no connection to the domain', { error: errorMessage(error) });
      }
      await sleep(clock, PAUSE_MS);
    }
  }

  /** One connection after the other: what is still being stored for the last one comes first. */
  private async serve(stream: ByteStream): Promise<void> {
    if (this.closed) return stream.close();
    const session = new RelaySession({ ...this.parts, stream });
    this.session = session;
    this.parts.log.info('connected to the domain');
    for (const viewer of this.viewers.splice(0)) session.addViewer(viewer);
    await session.ended;
    this.session = undefined;
    this.parts.log.info('the connection to the domain is over');
  }
}
