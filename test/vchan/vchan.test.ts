import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { VchanInterface } from '../../src/abi/io/libxenvchan.ts';
import { DOM0 } from '../../src/base/ids.ts';
import { connectVchan } from '../../src/vchan/client.ts';
import { vchanPath } from '../../src/vchan/keys.ts';
import type { Vchan, VchanHost } from '../../src/vchan/vchan.ts';
import { pattern, User, VchansHost } from './vchan-host.ts';

const seeds = fc.integer({ min: 0, max: 0xffffffff });

test('the keys and their permissions are those of libxenvchan', async () => {
  const host = await VchansHost.start();
  await host.listen();
  expect(host.path).toBe(`/local/domain/0/data/vchan/${host.client.domid}/7`);
  for (const name of ['ring-ref', 'event-channel']) {
    expect(await host.value(`${host.path}/${name}`)).toMatch(/^[1-9][0-9]*$/);
    expect(await host.finish(host.tools.getPermissions(`${host.path}/${name}`))).toEqual([
      { domid: 0, access: 'n' },
      { domid: host.client.domid, access: 'r' },
    ]);
  }
  await host.endAll();
});

test('a set-up takes five requests of xenstore on one side and three on the other', async () => {
  const host = await VchansHost.start();
  const asked: string[] = [];
  const counted = <Host extends VchanHost>(who: string, end: Host): Host => ({
    ...end,
    xenstore: new Proxy(end.xenstore, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== 'function') return method;
        return (...args: unknown[]) => {
          asked.push(`${who} ${String(name)}`);
          return method.apply(target, args);
        };
      },
    }),
  });
  let accepted: Vchan | undefined;
  const onConnection = (vchan: Vchan) => {
    accepted = vchan;
  };
  const server = counted('server', host.server);
  await host.listen({ connections_max: 2 }, onConnection, server);
  const client = counted('client', host.hostOf(host.client));
  const vchan = await host.finish(connectVchan(client, DOM0, host.path));
  await host.settle();
  const publishing = ['remove', 'write', 'setPermissions', 'write', 'setPermissions'];
  const ofServer = publishing.map((name) => `server ${name}`);
  expect(asked).toEqual([
    ...ofServer,
    // Once for as many clients as there will be: is their domain still there?
    ...['server watch', 'server isDomainIntroduced'],
    ...['client read', 'client read', 'client readIfPresent'],
    ...ofServer,
  ]);
  vchan.close();
  accepted!.close();
  await host.endAll();
});

test('a server that closes removes its keys, and leaves those of another', async () => {
  const host = await VchansHost.start();
  const first = await host.listen();
  const second = await host.listen();
  await host.finish(first.close());
  expect(await host.exists(`${host.path}/ring-ref`)).toBe(true);
  await host.finish(second.close());
  expect(await host.exists(host.path)).toBe(false);
  await host.endAll();
});

test('bytes arrive whole, both ways, in rings of any size, whenever events come', async () => {
  const sizes = fc.constantFrom(0, 1024, 2048, 2049, 4096, 10_000, 65_536, 1 << 20);
  await fc.assert(
    fc.asyncProperty(
      seeds,
      sizes,
      sizes,
      fc.integer({ min: 1, max: 200_000 }),
      fc.constantFrom(1, 100, 5000),
      async (seed, receive_min, send_min, length, step) => {
        const faults = { delayEvent: 0.3, spuriousEvent: 0.2 };
        const host = await VchansHost.start(seed, faults);
        const { ours, theirs } = await host.connectBoth({ receive_min, send_min });
        const client = new User(ours, host.client.boot.domain.clock);
        const server = new User(theirs, host.server.clock);
        client.step = Math.max(step, length / 1000);
        const there = pattern(length);
        const back = pattern(length >> 1, 77);
        client.send(there);
        server.send(back);
        await host.world.run();
        expect(Buffer.compare(server.bytes, there)).toBe(0);
        expect(Buffer.compare(client.bytes, back)).toBe(0);
        expect([ours.unread, theirs.unread]).toEqual([0, 0]);
        await host.endAll();
      },
    ),
    { numRuns: 40 },
  );
});

describe('the end of the other', () => {
  test.each([
    ['ours', 'theirs'],
    ['theirs', 'ours'],
  ] as const)('is seen once all is read: %s closes', async (closing, staying) => {
    const host = await VchansHost.start();
    const ends = await host.connectBoth();
    const user = new User(ends[staying], host.world.clock);
    await host.settle();
    expect(ends[closing].write(pattern(500))).toBe(500);
    ends[closing].close();
    const { stream } = user;
    expect([ends[staying].peerGone, stream.ended]).toEqual([true, false]);
    await host.settle();
    expect(user.bytes).toEqual(pattern(500));
    expect(stream.ended).toBe(true);
    expect([stream.write(pattern(1)), stream.read(new Uint8Array(1))]).toEqual([0, 0]);
    expect(ends[staying].error).toBeUndefined();
    await host.endAll();
  });

  test('is seen when the client is killed, at any moment', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, fc.integer({ min: 0, max: 60 }), async (seed, steps) => {
        const host = await VchansHost.start(seed, { delayEvent: 0.3, spuriousEvent: 0.2 });
        const process = host.client.boot.domain.startProcess();
        const accepted: Vchan[] = [];
        await host.listen({ receive_min: 4096 }, (vchan) => {
          accepted.push(vchan);
          new User(vchan, host.server.clock).send(pattern(9000));
        });
        const { xenstore } = host.client;
        const doomed = { hypervisor: process.hypervisor, clock: process.clock, xenstore };
        const connecting = connectVchan(doomed, DOM0, host.path).then((vchan) => {
          new User(vchan, process.clock).send(pattern(20_000));
        });
        connecting.catch(() => {});
        let left = steps;
        await host.world.run({ until: () => left-- === 0 });
        process.kill();
        await host.settle();
        expect(accepted.map((vchan) => vchan.ended)).toEqual(accepted.map(() => true));
        for (const vchan of accepted) vchan.close();

        const next = await host.newClient();
        const user = new User(next, host.client.boot.domain.clock);
        await host.settle();
        expect(Buffer.compare(user.bytes, pattern(9000))).toBe(0);
        next.close();
        await host.settle();
        for (const vchan of accepted) vchan.close();
        await host.endAll();
      }),
      { numRuns: 60 },
    );
  });

  test('is seen when the server is killed', async () => {
    const host = await VchansHost.start();
    const { ours } = await host.connectBoth();
    host.server.kill();
    await host.settle();
    expect(ours.ended).toBe(true);
    await host.endAll();
  });

  test('is seen in dom0 when its whole domain is destroyed', async () => {
    const host = await VchansHost.start();
    let accepted: Vchan | undefined;
    const server = await host.listen({}, (vchan) => {
      accepted = vchan;
    });
    await host.finish(connectVchan(host.hostOf(host.client), DOM0, host.path));
    await host.world.run({ until: () => accepted !== undefined });
    await host.destroy(host.client, []);
    expect(accepted!.ended).toBe(true);
    expect((await host.finish(server.ended)).message).toContain(
      `domain ${host.client.domid} is gone`,
    );
    accepted!.close();
    await host.endAll();
  });
});

test('two guests reach each other', async () => {
  const host = await VchansHost.start();
  const other = await host.secondGuest();
  const path = vchanPath(other.domid, host.client.domid, '7');
  const options = { path, client: host.client.domid };
  let accepted: Vchan | undefined;
  const server = await host.listen(
    options,
    (vchan) => {
      accepted = vchan;
    },
    host.hostOf(other),
  );
  const connector = await host.connector(host.client, other.domid, path);
  const vchan = await host.finish(connector.connect());
  const user = new User(vchan, host.client.boot.domain.clock);
  await host.settle();
  accepted!.write(pattern(10));
  await host.settle();
  expect(user.bytes).toEqual(pattern(10));
  vchan.close();
  accepted!.close();
  await host.finish(server.close());
  await host.endAll();
});

test('a client that comes and goes at once is heard', async () => {
  const host = await VchansHost.start();
  const heard: User[] = [];
  await host.listen({}, (vchan) => heard.push(new User(vchan, host.server.clock)));
  const vchan = await host.finish(
    connectVchan(host.hostOf(host.client), DOM0, host.path).then((connected) => {
      connected.write(pattern(3));
      connected.close();
      return connected;
    }),
  );
  await host.settle();
  expect(heard.map(({ bytes, stream }) => [...bytes, stream.ended])).toEqual([
    [...pattern(3), true],
  ]);
  expect(vchan.ended).toBe(true);
  for (const { stream } of heard) stream.close();
  await host.endAll();
});

test('a reader that takes just as much as there is hears of what comes next', async () => {
  await fc.assert(
    fc.asyncProperty(seeds, async (seed) => {
      const host = await VchansHost.start(seed);
      const { ours, theirs } = await host.connectBoth();
      let taken = 0;
      theirs.onReady(() => {
        taken += theirs.read(new Uint8Array(1));
      });
      await host.settle();
      for (let sent = 1; sent <= 5; sent++) {
        ours.write(pattern(1));
        await host.settle();
        expect(taken).toBe(sent);
      }
      await host.endAll();
    }),
    { numRuns: 10 },
  );
});

test('nobody is signalled who does not wait', async () => {
  const host = await VchansHost.start();
  const { ours, theirs } = await host.connectBoth();
  let wakes = 0;
  ours.onReady(() => wakes++);
  await host.settle();
  const before = wakes;
  // The reader leaves its bytes: it is told of the first, and once more of those that came since.
  for (let n = 0; n < 10; n++) theirs.write(pattern(10));
  await host.settle();
  for (let n = 0; n < 10; n++) theirs.write(pattern(10));
  await host.settle();
  expect(wakes - before).toBe(2);
  await host.endAll();
});

test('a hundred clients connect to one server at once, each to a vchan of its own', async () => {
  const host = await VchansHost.start(3, { delayEvent: 0.2 });
  await host.listen({}, (vchan) => {
    const user = new User(vchan, host.server.clock);
    vchan.onReady(() => {
      const byte = new Uint8Array(1);
      if (vchan.read(byte) === 1) vchan.write(Uint8Array.of(byte[0]! ^ 0xff));
      if (vchan.ended) user.stream.close();
    });
  });
  const vchans = await host.finish(
    Promise.all(Array.from({ length: 10 }, () => host.openConnector())).then((connectors) =>
      Promise.all(Array.from({ length: 100 }, (_, n) => connectors[n % 10]!.connect())),
    ),
  );
  const users = vchans.map((vchan) => new User(vchan, host.client.boot.domain.clock));
  for (const [n, user] of users.entries()) user.send(Uint8Array.of(n));
  await host.settle();
  expect(users.map((user) => user.bytes[0])).toEqual(users.map((_, n) => n ^ 0xff));
  for (const vchan of vchans) vchan.close();
  await host.settle();
  await host.endAll();
});

test('a hundred servers and their clients are set up at once', async () => {
  const host = await VchansHost.start(5);
  const ports = Array.from({ length: 100 }, (_, n) => `${host.path}-${n}`);
  let accepted = 0;
  const offers = ports.map((path) =>
    host.openServer({ path, connections_max: 1 }, (vchan) => {
      accepted++;
      vchan.close();
    }),
  );
  const clients = ports.map(async (path) =>
    (await host.openConnector(host.client, DOM0, path)).connect(),
  );
  const vchans = await host.finish(Promise.all(offers).then(() => Promise.all(clients)));
  await host.settle();
  expect(accepted).toBe(100);
  for (const vchan of vchans) vchan.close();
  await host.endAll();
});

test('a server lets no more clients in than it may, and goes on when one leaves', async () => {
  const host = await VchansHost.start();
  const accepted: Vchan[] = [];
  await host.listen({ connections_max: 2 }, (vchan) => accepted.push(vchan));
  const connector = await host.connector();
  const [first, second] = await host.finish(
    Promise.all([connector.connect(), connector.connect()]),
  );
  let third: Vchan | undefined;
  const connecting = connector.connect().then((vchan) => {
    third = vchan;
  });
  await host.settle(5000);
  expect(third).toBeUndefined();
  first.close();
  accepted[0]!.close();
  await host.finish(connecting);
  await host.settle();
  for (const vchan of [second, third!, ...accepted]) vchan.close();
  await host.endAll();
});

test('a page never serves a second client', async () => {
  const host = await VchansHost.start();
  await host.listen({ connections_max: 1 }, (vchan) => {
    vchan.write(pattern(100));
    vchan.onReady(() => vchan.peerGone && vchan.close());
  });
  const connector = await host.connector();
  for (let n = 0; n < 3; n++) {
    const vchan = await host.finish(connector.connect());
    const user = new User(vchan, host.client.boot.domain.clock);
    await host.settle();
    // Bytes that the server never reads.
    user.send(pattern(10));
    await host.settle();
    expect(user.bytes).toEqual(pattern(100));
    vchan.close();
    await host.settle();
  }
  await host.endAll();
});

test('the page looks as a C client expects it', async () => {
  const host = await VchansHost.start();
  await host.listen({ receive_min: 4097, send_min: 2048 });
  const ref = Number(await host.value(`${host.path}/ring-ref`));
  const page = host.client.hypervisor.grants.map(DOM0, [ref as never]);
  const view = VchanInterface.view(page.bytes);
  expect([view.left_order, view.right_order]).toEqual([13, 11]);
  expect([view.cli_live, view.srv_live, view.cli_notify, view.srv_notify]).toEqual([2, 1, 1, 0]);
  page.close();
  await host.endAll();
});
