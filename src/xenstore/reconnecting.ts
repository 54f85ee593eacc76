/**
 * Xenstore for a service that outlives xenstored: when the connection ends, another is made, what
 * was under way is asked again, and the watches are set again. Each then fires once at once, so
 * whoever looks at everything when a watch fires misses no change.
 *
 * Where nobody knows whether a request was carried out before the connection ended, it is carried
 * out again: a transaction is run again from its start, and what a removal wanted gone may be gone.
 * Requests of which that cannot be said reject with ECONNRESET instead.
 */
import { type Clock, sleep } from '../base/clock.ts';
import { errorCode, errorMessage, XenError } from '../base/errors.ts';
import type { DomId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { XenstoreClient } from './client.ts';
import type { Permission, Xenstore, XenstoreNodes, XenstoreWatch } from './xenstore.ts';

/** How long until it is tried again to connect: twice as long each time, up to the longest. */
const RETRY_MIN_MS = 20;
const RETRY_MAX_MS = 500;

export interface ReconnectingParts {
  /** A new connection. Rejects with `XenError` while there is no xenstored. */
  readonly connect: () => Promise<XenstoreClient>;
  readonly clock: Clock;
  readonly log: Log;
}

/** A watch for as long as its owner wants it, over all connections. */
class LastingWatch implements XenstoreWatch {
  readonly path: string;
  private readonly handler: (changedPath: string) => void;
  private readonly forget: (watch: LastingWatch) => void;
  private current: XenstoreWatch | undefined;
  private closed = false;

  constructor(
    path: string,
    handler: (changedPath: string) => void,
    forget: (watch: LastingWatch) => void,
  ) {
    this.path = path;
    this.handler = handler;
    this.forget = forget;
  }

  /** Sets it on a connection that has none of it. */
  async set(client: XenstoreClient): Promise<void> {
    if (this.closed) return;
    const watch = await client.watch(this.path, (path) => {
      if (!this.closed) this.handler(path);
    });
    this.current = watch;
    // Its owner may have lost interest meanwhile.
    if (this.closed) await watch.close();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.forget(this);
    await this.current?.close();
  }
}

export class ReconnectingXenstore implements Xenstore {
  private readonly parts: ReconnectingParts;
  private readonly watches = new Set<LastingWatch>();
  private client: Promise<XenstoreClient>;
  private closed = false;

  private constructor(parts: ReconnectingParts, first: XenstoreClient) {
    this.parts = parts;
    this.client = Promise.resolve(first);
    first.onEnd((reason) => this.lost(reason));
  }

  /** Rejects as `connect` does when there is no xenstored to begin with. */
  static async open(parts: ReconnectingParts): Promise<ReconnectingXenstore> {
    return new ReconnectingXenstore(parts, await parts.connect());
  }

  read(path: string): Promise<string> {
    return this.ask((client) => client.read(path));
  }

  readIfPresent(path: string): Promise<string | undefined> {
    return this.ask((client) => client.readIfPresent(path));
  }

  list(path: string): Promise<string[]> {
    return this.ask((client) => client.list(path));
  }

  write(path: string, value: string): Promise<void> {
    return this.ask((client) => client.write(path, value));
  }

  mkdir(path: string): Promise<void> {
    return this.ask((client) => client.mkdir(path));
  }

  remove(path: string): Promise<void> {
    return this.ask(async (client, isAgain) => {
      try {
        await client.remove(path);
      } catch (error) {
        if (!isAgain || errorCode(error) !== 'ENOENT') throw error;
      }
    });
  }

  getPermissions(path: string): Promise<Permission[]> {
    return this.ask((client) => client.getPermissions(path));
  }

  setPermissions(path: string, permissions: readonly Permission[]): Promise<void> {
    return this.ask((client) => client.setPermissions(path, permissions));
  }

  transaction<Result>(body: (nodes: XenstoreNodes) => Promise<Result>): Promise<Result> {
    return this.ask((client) => client.transaction(body));
  }

  async watch(path: string, handler: (changedPath: string) => void): Promise<XenstoreWatch> {
    const watch = new LastingWatch(path, handler, (gone) => this.watches.delete(gone));
    await this.ask(async (client) => {
      await watch.set(client);
      // Not before it is set: otherwise the next connection would set it, and this here once more.
      this.watches.add(watch);
    });
    return watch;
  }

  domainPath(domid: DomId): Promise<string> {
    return this.ask((client) => client.domainPath(domid));
  }

  isDomainIntroduced(domid: DomId): Promise<boolean> {
    return this.ask((client) => client.isDomainIntroduced(domid));
  }

  async introduce(domid: DomId, gfn: number, port: number): Promise<void> {
    return (await this.client).introduce(domid, gfn, port);
  }

  async release(domid: DomId): Promise<void> {
    return (await this.client).release(domid);
  }

  setTarget(domid: DomId, target: DomId): Promise<void> {
    return this.ask((client) => client.setTarget(domid, target));
  }

  async control(command: string, ...args: string[]): Promise<string> {
    return (await this.client).control(command, ...args);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.client.then(
      (client) => client.close(),
      () => {},
    );
  }

  /** Asks until there is an answer. `isAgain` tells that it may have been carried out before. */
  private async ask<Result>(
    question: (client: XenstoreClient, isAgain: boolean) => Promise<Result>,
  ): Promise<Result> {
    for (let isAgain = false; ; isAgain = true) {
      const client = await this.client;
      try {
        return await question(client, isAgain);
      } catch (error) {
        if (this.closed || errorCode(error) !== 'ECONNRESET') throw error;
      }
    }
  }

  private lost(reason: XenError): void {
    if (this.closed) return;
    this.parts.log.warn(`xenstored is gone, waiting for it: ${reason.message}`);
    this.client = this.connectAgain();
    // Whoever asks hears of it.
    this.client.catch(() => {});
  }

  private async connectAgain(): Promise<XenstoreClient> {
    const { connect, clock, log } = this.parts;
    for (let delay_ms = RETRY_MIN_MS; ; delay_ms = Math.min(2 * delay_ms, RETRY_MAX_MS)) {
      await sleep(clock, delay_ms);
      if (this.closed) throw new XenError('ECONNRESET', 'xenstore connection', 'it was closed');
      try {
        const client = await connect();
        if (this.closed) client.close();
        await this.setWatches(client);
        client.onEnd((reason) => this.lost(reason));
        log.info('xenstored is back');
        return client;
      } catch (error) {
        log.debug('still no xenstored', { error: errorMessage(error) });
      }
    }
  }

  private async setWatches(client: XenstoreClient): Promise<void> {
    try {
      await Promise.all([...this.watches].map((watch) => watch.set(client)));
    } catch (error) {
      client.close();
      throw error;
    }
  }
}
