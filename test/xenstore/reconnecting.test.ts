/** A service's connection to xenstored, over the ends of several xenstoreds. */
import { expect, test } from 'vitest';
import { bytePipe } from '../../src/base/byte-pipe.ts';
import type { ByteStream } from '../../src/base/byte-stream.ts';
import { XenError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { SimWorld } from '../../src/hypervisor/sim/world.ts';
import { XenstoreClient } from '../../src/xenstore/client.ts';
import { ReconnectingXenstore } from '../../src/xenstore/reconnecting.ts';
import { startXenstored, type Xenstored } from '../../src/xenstored/server.ts';

/** One xenstored after the other, each with the store of the one before and none of its sockets. */
class Succession {
  readonly world = new SimWorld({ seed: 1 });
  xenstored: Xenstored | undefined;
  readonly clients: XenstoreClient[] = [];
  private readonly streams: ByteStream[] = [];
  private state: ReturnType<Xenstored['capture']> | undefined;

  start(): void {
    const { clock } = this.world;
    this.xenstored = startXenstored({ clock, log: silentLog, state: this.state });
  }

  end(): void {
    this.state = this.xenstored?.capture();
    this.xenstored = undefined;
    for (const stream of this.streams.splice(0)) stream.close();
  }

  readonly connect = async (): Promise<XenstoreClient> => {
    if (this.xenstored === undefined) throw new XenError('ENOTCONN', 'connect', 'nobody is there');
    const [ours, theirs] = bytePipe(this.world.clock);
    this.streams.push(theirs);
    this.xenstored.attachSocket(theirs, 'client');
    const client = new XenstoreClient(ours, this.world.clock);
    this.clients.push(client);
    return client;
  };

  open(): Promise<ReconnectingXenstore> {
    return ReconnectingXenstore.open({
      connect: this.connect,
      clock: this.world.clock,
      log: silentLog,
    });
  }

  /** Runs the world until the promise is settled. */
  async settled<Result>(promise: Promise<Result>): Promise<Result> {
    let over = false;
    const done = () => {
      over = true;
    };
    promise.then(done, done);
    for (let turns = 0; !over && turns < 1000; turns++) await this.world.run({ for_ms: 10 });
    return promise;
  }
}

test('what is asked while there is no xenstored is answered by the next', async () => {
  const host = new Succession();
  host.start();
  const store = await host.open();
  await host.settled(store.write('/a', '1'));
  host.end();
  const read = store.read('/a');
  await host.world.run({ for_ms: 2000 });
  host.start();
  expect(await host.settled(read)).toBe('1');
  store.close();
  await expect(host.settled(store.read('/a'))).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test('watches are set again and fire, so that no change is missed', async () => {
  const host = new Succession();
  host.start();
  const store = await host.open();
  const seen: (string | undefined)[] = [];
  const watch = await host.settled(
    store.watch('/a', () => void store.readIfPresent('/a').then((value) => seen.push(value))),
  );
  await host.world.run({ for_ms: 100 });
  host.end();
  host.start();
  // Before the client is back.
  const other = await host.connect();
  await host.settled(other.write('/a', 'changed'));
  await host.world.run({ for_ms: 2000 });
  expect(seen.at(-1)).toBe('changed');
  await host.settled(other.write('/a', 'again'));
  await host.world.run({ for_ms: 100 });
  expect(seen.at(-1)).toBe('again');
  await host.settled(watch.close());
  const count = seen.length;
  host.end();
  host.start();
  await host.world.run({ for_ms: 2000 });
  expect(seen).toHaveLength(count);
  expect(host.xenstored?.status().watches).toBe(0);
  store.close();
});

test('a transaction that was cut off is run again from its start', async () => {
  const host = new Succession();
  host.start();
  const store = await host.open();
  let runs = 0;
  const done = store.transaction(async (nodes) => {
    runs++;
    await nodes.write('/a', String(runs));
    if (runs === 1) host.end();
    await nodes.write('/b', String(runs));
  });
  await host.world.run({ for_ms: 100 });
  host.start();
  await host.settled(done);
  expect(runs).toBe(2);
  expect(await host.settled(store.read('/a'))).toBe('2');
  store.close();
});

test('a removal that may have been carried out is not an error when nothing is left to remove', async () => {
  const host = new Succession();
  host.start();
  const store = await host.open();
  await host.settled(store.write('/a/b/c', ''));
  const removed = store.remove('/a/b/c');
  await host.world.run({ until: () => host.xenstored?.status().nodes === 5 });
  host.end();
  host.start();
  const other = await host.connect();
  await host.settled(other.remove('/a'));
  await host.settled(removed);
  await expect(host.settled(store.remove('/a/b/c'))).rejects.toMatchObject({ code: 'ENOENT' });
  store.close();
});

test('nothing is tried again after it was closed', async () => {
  const host = new Succession();
  host.start();
  const store = await host.open();
  host.end();
  const read = store.read('/a');
  read.catch(() => {});
  await host.world.run({ for_ms: 500 });
  store.close();
  await expect(host.settled(read)).rejects.toMatchObject({ code: 'ECONNRESET' });
  host.start();
  await host.world.run({ for_ms: 2000 });
  expect(host.clients).toHaveLength(1);
});
