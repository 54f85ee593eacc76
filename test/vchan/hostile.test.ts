/** Peers that break the rules: a server that the test plays page by page, and a client. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  VCHAN_NOTIFY_READ,
  VCHAN_NOTIFY_WRITE,
  VchanInterface,
} from '../../src/abi/io/libxenvchan.ts';
import { ProtocolViolation } from '../../src/base/errors.ts';
import { DOM0, grantRef } from '../../src/base/ids.ts';
import { connectVchan } from '../../src/vchan/client.ts';
import type { Vchan } from '../../src/vchan/vchan.ts';
import { pattern, User, VchansHost } from './vchan-host.ts';

/** A page with its keys in dom0, and the client that looks at it. */
class PlayedServer {
  readonly host: VchansHost;
  readonly page;
  readonly channel;
  readonly view;

  private constructor(host: VchansHost) {
    this.host = host;
    const { grants, events } = host.server.hypervisor;
    this.page = grants.share(host.client.domid, 1, 'read-write');
    this.channel = events.allocateUnbound(host.client.domid);
    this.view = VchanInterface.view(this.page.bytes);
    Object.assign(this.view, { left_order: 10, right_order: 11, cli_live: 2, srv_live: 1 });
  }

  static async start(seed = 1): Promise<PlayedServer> {
    const server = new PlayedServer(await VchansHost.start(seed));
    await server.publish(String(server.page.refs[0]), String(server.channel.port));
    return server;
  }

  async publish(ref: string, port: string): Promise<void> {
    const { tools, client, path } = this.host;
    for (const [name, value] of Object.entries({ 'ring-ref': ref, 'event-channel': port })) {
      await this.host.finish(tools.write(`${path}/${name}`, value));
      await this.permit(name, client.domid);
    }
  }

  permit(name: string, domid: number): Promise<void> {
    const { tools, path } = this.host;
    const permissions = [
      { domid: DOM0, access: 'n' },
      { domid: domid as typeof DOM0, access: 'r' },
    ] as const;
    return this.host.finish(tools.setPermissions(`${path}/${name}`, permissions));
  }

  connect(): Promise<Vchan> {
    const { host } = this;
    return host.finish(connectVchan(host.hostOf(host.client), DOM0, host.path));
  }

  async end(): Promise<void> {
    this.page.close();
    this.channel.close();
    await this.host.endAll();
  }
}

const broke = (rule: string) => expect.objectContaining({ code: 'EPROTO', rule });

describe('a client refuses', () => {
  test.each([
    [9, 11, 'vchan: a ring order is 10 to 20'],
    [11, 21, 'vchan: a ring order is 10 to 20'],
    [0xffff, 10, 'vchan: a ring order is 10 to 20'],
    [0, 0, 'vchan: a ring order is 10 to 20'],
    [10, 10, 'vchan: one place in the page holds one ring'],
    [11, 11, 'vchan: one place in the page holds one ring'],
    [10, 20, 'vchan: the grants end before the ring in the page'],
  ])('rings of the orders %i and %i', async (left_order, right_order, rule) => {
    const server = await PlayedServer.start();
    Object.assign(server.view, { left_order, right_order });
    await expect(server.connect()).rejects.toEqual(broke(rule));
    await server.end();
  });

  test.each([
    [1, 3, 'EPROTO'],
    [7, 2, 'EPROTO'],
    [2, 2, 'EPROTO'],
    [0, 2, 'ENOTCONN'],
    [1, 1, 'EBUSY'],
  ])('srv_live %i with cli_live %i', async (srv_live, cli_live, code) => {
    const server = await PlayedServer.start();
    Object.assign(server.view, { srv_live, cli_live });
    await expect(server.connect()).rejects.toMatchObject({ code });
    await server.end();
  });

  test.each([
    ['0', '5'],
    ['8 ', '5'],
    ['', '5'],
    ['4294967296', '5'],
    ['8', '-1'],
    ['8', '131072'],
    ['8', '0x5'],
  ])('keys that are no numbers: %j and %j', async (ref, port) => {
    const server = await PlayedServer.start();
    await server.publish(ref, port);
    await expect(server.connect()).rejects.toBeInstanceOf(ProtocolViolation);
    await server.end();
  });

  test('grants that are none, in the first page and elsewhere', async () => {
    const server = await PlayedServer.start();
    await server.publish('4000', String(server.channel.port));
    await expect(server.connect()).rejects.toMatchObject({ code: 'EINVAL' });
    await server.publish(String(server.page.refs[0]), String(server.channel.port));
    Object.assign(server.view, { left_order: 14, cli_live: 2 });
    await expect(server.connect()).rejects.toMatchObject({ code: 'EINVAL' });
    await server.end();
  });

  test('a path that it may not read, and says so', async () => {
    const server = await PlayedServer.start();
    const { host } = server;
    await server.permit('ring-ref', 77);
    await expect(server.connect()).rejects.toMatchObject({
      code: 'EACCES',
      message: expect.stringContaining(`${host.path}/ring-ref`),
    });
    // One that waits says so and goes on once it may.
    const connecting = (await host.connector()).connect();
    await host.settle();
    expect(host.log.at(-1)).toContain(`ring-ref: permission denied (EACCES)`);
    await server.permit('ring-ref', host.client.domid);
    (await host.finish(connecting)).close();
    await server.end();
  });

  test('a domain that is not there', async () => {
    const host = await VchansHost.start();
    const path = '/local/domain/99/data/vchan/0/7';
    const gone = host.finish(host.openConnectorInDom0(path, 99).then((one) => one.connect()));
    await expect(gone).rejects.toMatchObject({ code: 'ESRCH' });
    await host.endAll();
  });
});

test('a server that goes on with its page gives a new client nothing of the last', async () => {
  const server = await PlayedServer.start();
  const first = await server.connect();
  const { view } = server;
  // As a persistent libxenvchan server writes to a client that leaves without having read.
  server.page.bytes.set(pattern(300), 2048);
  view.right_prod = 300;
  first.close();
  expect(view.cli_live).toBe(0);
  const second = await server.connect();
  expect([view.cli_live, view.right_cons, view.right_prod]).toEqual([1, 300, 300]);
  expect(second.read(new Uint8Array(10))).toBe(0);
  second.close();
  await server.end();
});

test('a client waits for a server that has yet to read what its last client sent', async () => {
  const server = await PlayedServer.start();
  Object.assign(server.view, { cli_live: 0, left_prod: 5 });
  await expect(server.connect()).rejects.toMatchObject({ code: 'EBUSY' });
  const connector = await server.host.connector();
  const connecting = connector.connect();
  await server.host.settle(2000);
  expect(server.view.cli_live).toBe(0);
  server.view.left_cons = 5;
  (await server.host.finish(connecting)).close();
  await server.end();
});

test('what a server wrote before its first client came is read', async () => {
  const server = await PlayedServer.start();
  server.page.bytes.set(pattern(300), 2048);
  server.view.right_prod = 300;
  const vchan = await server.connect();
  const target = new Uint8Array(400);
  expect(vchan.read(target)).toBe(300);
  expect(target.subarray(0, 300)).toEqual(pattern(300));
  vchan.close();
  await server.end();
});

describe('an open vchan ends with the rule', () => {
  test.each([
    [{ right_prod: 2049 }, 'byte ring: prod - cons <= size'],
    [{ right_cons: 1 }, 'byte ring: prod - cons <= size'],
    [{ right_prod: 0xffffffff }, 'byte ring: prod - cons <= size'],
  ])('when reading finds %j', async (indexes, rule) => {
    const server = await PlayedServer.start();
    const vchan = await server.connect();
    const user = new User(vchan, server.host.world.clock);
    Object.assign(server.view, indexes);
    server.channel.notify();
    await server.host.settle();
    expect([user.received, vchan.ended]).toEqual([0, true]);
    expect(vchan.error).toMatchObject({ rule });
    vchan.close();
    expect(server.view.cli_live).toBe(0);
    await server.end();
  });

  test('when writing finds an index past the end', async () => {
    const server = await PlayedServer.start();
    const vchan = await server.connect();
    server.view.left_cons = 5;
    expect(vchan.write(pattern(10))).toBe(0);
    expect(vchan.error).toBeInstanceOf(ProtocolViolation);
    expect(vchan.unread).toBe(0);
    vchan.close();
    await server.end();
  });

  test.each([2, 3, 255])('when srv_live becomes %i', async (srv_live) => {
    const server = await PlayedServer.start();
    const vchan = await server.connect();
    server.view.srv_live = srv_live;
    expect(vchan.ended).toBe(true);
    expect(vchan.error).toMatchObject({
      rule: 'vchan: the live flag of a connected end is 1, and 0 once it is gone',
    });
    vchan.close();
    await server.end();
  });
});

test('orders and grants that change after the client has looked change nothing', async () => {
  const server = await PlayedServer.start();
  const vchan = await server.connect();
  Object.assign(server.view, { left_order: 20, right_order: 9 });
  server.page.bytes.fill(0xff, VchanInterface.offset.grants, 1024);
  expect(vchan.write(pattern(5000))).toBe(1024);
  expect(server.page.bytes.subarray(1024, 2048)).toEqual(pattern(1024));
  vchan.close();
  await server.end();
});

test('a client that writes nonsense anywhere in the page hurts nobody else', async () => {
  const byte = fc.record({ at: fc.integer({ min: 0, max: 60 }), value: fc.nat(255) });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.array(fc.array(byte, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 12 }),
      fc.boolean(),
      async (seed, rounds, comes) => {
        const host = await VchansHost.start(seed, { spuriousEvent: 0.1 });
        const users: User[] = [];
        await host.listen({ receive_min: 4096, send_min: 1024 }, (vchan) => {
          const user = new User(vchan, host.server.clock);
          user.send(pattern(50));
          users.push(user);
        });
        const { hypervisor } = host.client;
        const ref = grantRef(Number(await host.value(`${host.path}/ring-ref`)));
        const port = Number(await host.value(`${host.path}/event-channel`));
        const channel = hypervisor.events.bindInterdomain(DOM0, port as never);
        const byteOffset = VchanInterface.offset.cli_live;
        const page = hypervisor.grants.map(DOM0, [ref], { byteOffset, channel });
        if (comes) page.bytes[VchanInterface.offset.cli_live] = 1;
        for (const round of rounds) {
          for (const { at, value } of round) page.bytes[at] = value;
          channel.notify();
          await host.settle(50);
        }
        page.close();
        channel.close();
        await host.settle();
        for (const user of users) user.stream.close();
        const good = await host.newClient();
        const user = new User(good, host.world.clock);
        await host.settle();
        expect(user.bytes).toEqual(pattern(50));
        good.close();
        await host.settle();
        for (const { stream } of users) stream.close();
        await host.endAll();
      },
    ),
    { numRuns: 60 },
  );
});

test('a peer that signals all the time without cause is answered by no signal', async () => {
  const server = await PlayedServer.start();
  const { host, channel, view } = server;
  let signals = 0;
  channel.onEvent(() => signals++);
  const vchan = await server.connect();
  const user = new User(vchan, host.world.clock);
  await host.settle();
  const before = signals;
  for (let n = 0; n < 50; n++) {
    channel.notify();
    view.cli_notify = VCHAN_NOTIFY_READ | VCHAN_NOTIFY_WRITE;
    await host.settle(10);
  }
  expect([signals - before, user.received, vchan.ended]).toEqual([0, 0, false]);
  vchan.close();
  await server.end();
});
