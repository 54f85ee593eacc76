/** Attacks that have worked on other xenstoreds, each by the number of its Xen security advisory. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  XENSTORE_ERROR_PROTO,
  XENSTORE_ERROR_RINGIDX,
  XenstoreDomainInterface,
  XS_CONTROL,
  XS_DIRECTORY,
  XS_DIRECTORY_PART,
  XS_GET_PERMS,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_MKDIR,
  XS_READ,
  XS_RELEASE,
  XS_RESET_WATCHES,
  XS_RM,
  XS_SET_PERMS,
  XS_SET_TARGET,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_WATCH,
  XS_WRITE,
} from '../../src/abi/io/xs_wire.ts';
import { latin1Encode } from '../../src/base/bytes.ts';
import type { SimGuest } from '../../src/hypervisor/sim/world.ts';
import type { RawClient } from './raw-client.ts';
import { SimXenstored } from './sim-xenstored.ts';

let sim: SimXenstored;
let tools: RawClient;

beforeEach(() => {
  sim = new SimXenstored();
  tools = sim.socket();
});

afterEach(async () => {
  expect(sim.xenstored.check()).toBe(0);
  expect(await sim.finish()).toEqual([]);
});

const page = (domid: number) =>
  XenstoreDomainInterface.view((sim.guests.get(domid) as SimGuest).xenstore.page.page(0));

/** What `xenstore-control quota` says that the domain uses. */
async function usage(domid: number, what: string): Promise<number> {
  const text = await sim.reply(tools, XS_CONTROL, `quota|${domid}|`);
  return Number(new RegExp(`${what} *: *(\\d+)`).exec(text ?? '')?.[1]);
}

async function startTransaction(client: RawClient): Promise<number> {
  return Number.parseInt((await sim.reply(client, XS_TRANSACTION_START, '|')) ?? '', 10);
}

describe('a guest', () => {
  test('XSA-38: with a ring index out of range is ignored, and told so', async () => {
    const guest = await sim.guest(1);
    const other = await sim.guest(2);
    page(1).req_prod = page(1).req_cons + 1025;
    sim.guests.get(1)?.xenstore.channel.notify();
    await sim.settle();
    expect(page(1).error).toBe(XENSTORE_ERROR_RINGIDX);
    expect(await sim.reply(guest, XS_READ, '/|')).toBeUndefined();
    expect(await sim.reply(other, XS_WRITE, '/x|')).toBe('!EACCES');
    expect(await sim.reply(tools, XS_IS_DOMAIN_INTRODUCED, '1|')).toBe('T|');
  });

  test('XSA-38: that says it took replies which were not there is ignored, and told so', async () => {
    const guest = await sim.guest(1);
    // Or its own end would take the whole ring for replies, again and again.
    guest.deaf = true;
    page(1).rsp_cons = page(1).rsp_prod + 1;
    guest.send(XS_READ, '/|');
    await sim.settle();
    expect(page(1).error).toBe(XENSTORE_ERROR_RINGIDX);
    for (let i = 0; i < 1000; i++) sim.guests.get(1)?.xenstore.channel.notify();
    expect(await sim.reply(guest, XS_READ, '/|')).toBeUndefined();
    expect(await sim.reply(tools, XS_READ, '/|')).toBe('');
  });

  test('XSA-72: gets E2BIG for a list above 4096 bytes, and the list in parts', async () => {
    const guest = await sim.guest(1);
    const names = Array.from({ length: 300 }, (_, index) => `a-rather-long-name-${index}`);
    for (const name of names) tools.write(`/big/${name}`, '');
    await sim.settle();
    await sim.ask(tools, XS_SET_PERMS, '/big|r0|');
    expect(await sim.reply(guest, XS_DIRECTORY, '/big|')).toBe('!E2BIG');
    let list = '';
    for (let parts = 0; !list.endsWith('||') && parts < 4; parts++) {
      const part = await sim.reply(guest, XS_DIRECTORY_PART, `/big|${list.length}|`);
      list += part?.slice(part.indexOf('|') + 1);
    }
    expect(list).toBe(`${names.join('|')}||`);
  });

  test('XSA-115: that watches / hears of nothing that it may not read', async () => {
    const guest = await sim.guest(1);
    await sim.ask(guest, XS_WATCH, '/|t|');
    tools.write('/secret', 'x');
    tools.write('/public', 'x');
    tools.send(XS_SET_PERMS, '/public|r0|');
    await sim.settle();
    expect(guest.take().events).toEqual(['/public|t|']);
    await sim.ask(tools, XS_RM, '/secret|');
    expect(guest.take().events).toEqual([]);
  });

  test('XSA-206: that writes all the time does not keep others from committing', async () => {
    const guest = await sim.guestWithHome(1);
    await sim.ask(guest, XS_WRITE, 'x|');
    const transaction = await startTransaction(tools);
    await sim.ask(tools, XS_READ, '/local/domain/1/x|', transaction);
    for (let i = 0; i < 5000; i++) guest.write('x', String(i));
    await sim.world.run({ for_ms: 1000 });
    const written = Number(await sim.reply(tools, XS_READ, '/local/domain/1/x|'));
    expect(written).toBeGreaterThan(10);
    expect(written).toBeLessThan(1500);
    await sim.ask(tools, XS_TRANSACTION_END, 'F|', transaction);
    expect(sim.xenstored.status().transactions).toBe(0);
    // With nobody's transaction in the way it may go on as it likes.
    await sim.world.run({ for_ms: 20_000 });
    expect(await sim.reply(tools, XS_READ, '/local/domain/1/x|')).toBe('4999');
  });

  test('XSA-233: that dies together with its device model leaves nothing', async () => {
    await sim.guestWithHome(1);
    await sim.guestWithHome(2);
    await sim.ask(tools, XS_SET_TARGET, '2|1|');
    sim.guests.get(1)?.domain.kill();
    sim.guests.get(2)?.domain.kill();
    await sim.settle();
    expect(sim.xenstored.status().introduced).toEqual([0]);
    expect(await sim.reply(tools, XS_DIRECTORY, '/local/domain|')).toBe('');
  });

  test('XSA-272: is charged for every node, also for those above the one it asked for', async () => {
    const guest = await sim.guestWithHome(1);
    expect(await usage(1, 'nodes')).toBe(1);
    await sim.ask(guest, XS_MKDIR, 'a/b/c|');
    expect(await usage(1, 'nodes')).toBe(4);
    const transaction = await startTransaction(guest);
    for (let i = 0; i < 980; i++) guest.write(`${i % 10}/${i}`, '', transaction);
    await sim.settle();
    guest.take();
    expect(await sim.reply(guest, XS_TRANSACTION_END, 'T|', transaction)).toBe('OK|');
    expect(await usage(1, 'nodes')).toBe(994);
    expect(await sim.reply(guest, XS_MKDIR, 'e/1/2/3/4|')).toBe('OK|');
    expect(await sim.reply(guest, XS_MKDIR, 'f/g|')).toBe('!ENOSPC');
    expect(await sim.reply(guest, XS_MKDIR, 'f|')).toBe('OK|');
    expect(await sim.reply(guest, XS_MKDIR, 'g|')).toBe('!ENOSPC');
    expect(sim.log).toContain('warn: domain 1 was denied: a node');
  });

  test.each([322, 417, 483])(
    'XSA-%i: with the domid of another before it inherits nothing',
    async () => {
      const old = await sim.guestWithHome(1);
      await sim.ask(tools, XS_WRITE, '/shared|x');
      await sim.ask(tools, XS_SET_PERMS, '/shared|n0|b1|');
      await sim.ask(tools, XS_SET_PERMS, '@releaseDomain|n0|r1|');
      await sim.ask(old, XS_WRITE, '/shared/left|x');
      await sim.ask(old, XS_WATCH, '/shared|t|');
      expect(await sim.reply(old, XS_READ, '/shared|')).toBe('x');
      sim.guests.get(1)?.domain.kill();
      await sim.settle();
      const young = await sim.guest(1);
      expect(await sim.reply(young, XS_READ, '/shared|')).toBe('!EACCES');
      expect(await sim.reply(tools, XS_READ, '/shared/left|')).toBe('!ENOENT');
      expect(await sim.reply(young, XS_READ, '/local/domain/1|')).toBe('!EACCES');
      // What inherits the permissions of an old node does not revive them.
      await sim.ask(tools, XS_WRITE, '/shared/new|y');
      expect(await sim.reply(young, XS_READ, '/shared/new|')).toBe('!EACCES');
      await sim.ask(young, XS_WATCH, '@releaseDomain|r|');
      await sim.guest(2);
      sim.guests.get(2)?.domain.kill();
      await sim.settle();
      expect(young.take().events).toEqual([]);
      expect([await usage(1, 'nodes'), await usage(1, 'watches')]).toEqual([0, 1]);
    },
  );

  test('XSA-323: with a relative path that its home makes too long gets EINVAL', async () => {
    const guest = await sim.guestWithHome(1);
    expect(await sim.reply(guest, XS_MKDIR, `${'l'.repeat(2048)}|`)).toBe('!ENOSPC');
    expect(await sim.reply(guest, XS_MKDIR, `${'l'.repeat(2049)}|`)).toBe('!EINVAL');
    expect(await sim.reply(guest, XS_WATCH, `${'l'.repeat(3072)}|t|`)).toBe('!EINVAL');
  });

  test('XSA-324: does not get an event that a huge token makes too long', async () => {
    const guest = await sim.guestWithHome(1);
    const token = 't'.repeat(4080);
    expect((await sim.ask(guest, XS_WATCH, `a|${token}|`)).events).toEqual([`a|${token}|`]);
    await sim.ask(tools, XS_WATCH, '/local/domain/1/a|t|');
    expect(await sim.ask(guest, XS_WRITE, 'a/longer-than-that|')).toEqual({
      reply: 'OK|',
      events: [],
    });
    // Those whose token is shorter do.
    expect(tools.take().events).toEqual(['/local/domain/1/a/longer-than-that|t|']);
  });

  test('XSA-325: that is ignored is still reported when it dies', async () => {
    await sim.guest(1);
    page(1).req_prod = page(1).req_cons + 2000;
    sim.guests.get(1)?.xenstore.channel.notify();
    await sim.ask(tools, XS_WATCH, '@releaseDomain|t|');
    sim.guests.get(1)?.domain.kill();
    await sim.settle();
    expect(tools.take().events).toEqual(['@releaseDomain|t|']);
  });

  test('XSA-326: cannot make memory grow with events and requests that it leaves unread', async () => {
    const guest = await sim.guestWithHome(1);
    await sim.ask(guest, XS_WATCH, 'x|t|');
    guest.deaf = true;
    for (let i = 0; i < 30_000; i++)
      tools.write(`/local/domain/1/x/${'n'.repeat(200)}${i % 9999}`, '');
    await sim.settle();
    expect(await usage(1, 'memory')).toBeLessThan(2.6 * 1024 * 1024);
    guest.deaf = false;
    guest.pump();
    await sim.world.run({ for_ms: 60_000 });
    expect(await sim.reply(guest, XS_READ, 'x|')).toBe('');
  });

  test('XSA-326: cannot touch more nodes in transactions than its quota allows', async () => {
    const guest = await sim.guestWithHome(1);
    for (let i = 0; i < 1100; i++) tools.write(`/r/${i}`, '');
    await sim.settle();
    const transaction = await startTransaction(guest);
    const replies = new Set<string | undefined>();
    for (let i = 0; i < 1100; i++) {
      replies.add(await sim.reply(guest, XS_READ, `/r/${i}|`, transaction));
    }
    expect([...replies]).toEqual(['!EACCES', '!ENOSPC']);
    expect(await sim.reply(guest, XS_TRANSACTION_END, 'T|', transaction)).toBe('!ENOMEM');
    const open: number[] = [];
    await sim.ask(tools, XS_CONTROL, 'quota|set|transactions|10|');
    for (let i = 0; i < 20; i++) open.push(await startTransaction(guest));
    expect(open.filter(Number.isInteger)).toHaveLength(11);
    expect(sim.log).toContain('warn: domain 1 was denied: a transaction');
  });

  test('XSA-330: uses no memory for watches that it has reset', async () => {
    const guest = await sim.guestWithHome(1);
    const before = await usage(1, 'memory');
    for (let round = 0; round < 200; round++) {
      guest.send(XS_WATCH, `${round}|t|`);
      guest.send(XS_RESET_WATCHES, '|');
    }
    await sim.settle();
    expect(await usage(1, 'memory')).toBe(before);
    expect(sim.xenstored.status().watches).toBe(0);
  });

  test('XSA-352: cannot give a node away', async () => {
    const guest = await sim.guestWithHome(1);
    await sim.guest(2);
    await sim.ask(guest, XS_WRITE, 'x|');
    expect(await sim.reply(guest, XS_SET_PERMS, 'x|n2|')).toBe('!EPERM');
    expect(await sim.reply(guest, XS_SET_PERMS, 'x|n0|b1|')).toBe('!EPERM');
    expect(await sim.reply(guest, XS_GET_PERMS, 'x|')).toBe('n1|');
  });

  test('XSA-353: does nothing with the root that others rely on', async () => {
    const guest = await sim.guest(1);
    expect(await sim.reply(guest, XS_SET_PERMS, '/|n1|')).toBe('!EACCES');
    expect(await sim.reply(guest, XS_RM, '/|')).toBe('!EACCES');
    expect(await sim.reply(guest, XS_DIRECTORY, '/|')).toBe('!EACCES');
    expect(await sim.reply(tools, XS_RM, '/|')).toBe('!EINVAL');
    expect(await sim.reply(tools, XS_SET_PERMS, '/|b0|')).toBe('OK|');
    expect(await sim.reply(guest, XS_RM, '/|')).toBe('!EINVAL');
  });

  test.each([414, 415, 421])(
    'XSA-%i: whose creation fails in a transaction breaks nothing',
    async () => {
      const guest = await sim.guestWithHome(1);
      const before = await usage(1, 'memory');
      const transaction = await startTransaction(guest);
      await sim.ask(guest, XS_MKDIR, 'a/b/c|', transaction);
      await sim.ask(guest, XS_RM, 'a|', transaction);
      await sim.ask(guest, XS_WRITE, 'd|x', transaction);
      expect(await sim.reply(guest, XS_TRANSACTION_END, 'T|', transaction)).toBe('OK|');
      expect(await sim.reply(guest, XS_DIRECTORY, '/local/domain/1|')).toBe('d|');
      const failing = await startTransaction(guest);
      expect(await sim.reply(guest, XS_WRITE, `e/f|${'x'.repeat(2048)}`, failing)).toBe('!ENOSPC');
      expect(await sim.reply(guest, XS_TRANSACTION_END, 'T|', failing)).toBe('!ENOMEM');
      expect(await sim.reply(guest, XS_WRITE, `e/f|${'x'.repeat(2048)}`)).toBe('!ENOSPC');
      expect(await usage(1, 'nodes')).toBe(2);
      expect(await sim.reply(guest, XS_RM, 'd|')).toBe('OK|');
      expect(await usage(1, 'memory')).toBe(before);
    },
  );

  test('XSA-416: that reads no replies is not listened to after 20 requests', async () => {
    const guest = await sim.guestWithHome(1);
    guest.deaf = true;
    for (let i = 0; i < 1000; i++) guest.write('x', 'y'.repeat(1000));
    await sim.world.run({ for_ms: 10_000 });
    expect(await usage(1, 'outstanding')).toBe(20);
    guest.deaf = false;
    guest.pump();
    await sim.world.run({ for_ms: 10_000 });
    expect(await usage(1, 'outstanding')).toBe(0);
    expect(guest.received).toHaveLength(1000);
  });

  test('XSA-418: may build a very deep tree, which is removed like any other', async () => {
    const guest = await sim.guestWithHome(1);
    const path = Array.from({ length: 990 }, () => 'd').join('/');
    expect(await sim.reply(guest, XS_MKDIR, `${path}|`)).toBe('OK|');
    expect(await usage(1, 'nodes')).toBe(991);
    expect(await sim.reply(guest, XS_RM, 'd|')).toBe('OK|');
    expect(await usage(1, 'nodes')).toBe(1);
    await sim.ask(tools, XS_MKDIR, `/${Array.from({ length: 1024 }, () => 'd').join('/')}|`);
    expect(await sim.reply(tools, XS_RM, '/d|')).toBe('OK|');
  });

  test('XSA-419: takes its nodes elsewhere with it when it goes', async () => {
    await sim.ask(tools, XS_MKDIR, '/public|');
    await sim.ask(tools, XS_SET_PERMS, '/public|b0|');
    const { nodes } = sim.xenstored.status();
    for (let round = 0; round < 3; round++) {
      const guest = await sim.guest(1);
      for (let i = 0; i < 50; i++) guest.write(`/public/${i}/x`, 'y');
      await sim.settle();
      sim.guests.get(1)?.domain.kill();
      await sim.settle();
      expect(sim.xenstored.status().nodes).toBe(nodes);
    }
  });

  test('XSA-420: that announces gigabytes is ignored', async () => {
    const guest = await sim.guest(1);
    const header = new DataView(new ArrayBuffer(16));
    header.setUint32(0, XS_READ, true);
    header.setUint32(12, 0x7fffffff, true);
    guest.stream.write(new Uint8Array(header.buffer));
    await sim.settle();
    expect(page(1).error).toBe(XENSTORE_ERROR_PROTO);
    const socket = sim.socket();
    socket.stream.write(new Uint8Array(header.buffer));
    await sim.settle();
    expect(socket.stream.ended).toBe(true);
    expect(await sim.reply(tools, XS_READ, '/|')).toBe('');
  });

  test('XSA-425: goes on after it was released and introduced again', async () => {
    await sim.guestWithHome(1);
    await sim.ask(tools, XS_RELEASE, '1|');
    expect(await sim.reply(tools, XS_IS_DOMAIN_INTRODUCED, '1|')).toBe('F|');
    expect(await sim.reply(tools, XS_INTRODUCE, sim.introduceRequest(1))).toBe('OK|');
    const again = sim.connectRing(1);
    await sim.settle();
    expect(await sim.reply(again, XS_READ, '/|')).toBe('!EACCES');
    sim.guests.get(1)?.domain.kill();
    await sim.settle();
    expect(sim.xenstored.status().introduced).toEqual([0]);
  });

  test('XSA-440: is charged rightly after two transactions that remove the same', async () => {
    const guest = await sim.guestWithHome(1);
    const before = await usage(1, 'memory');
    await sim.ask(guest, XS_MKDIR, 'a/b|');
    const first = await startTransaction(guest);
    const second = await startTransaction(guest);
    for (const transaction of [first, second]) {
      expect(await sim.reply(guest, XS_RM, 'a|', transaction)).toBe('OK|');
    }
    expect(await sim.reply(guest, XS_TRANSACTION_END, 'T|', first)).toBe('OK|');
    expect(await sim.reply(guest, XS_TRANSACTION_END, 'T|', second)).toBe('OK|');
    expect(await usage(1, 'nodes')).toBe(1);
    expect(await usage(1, 'memory')).toBe(before);
  });

  test('XSA-481: gets EINVAL for /local/domain/', async () => {
    const guest = await sim.guest(1);
    for (const type of [XS_READ, XS_DIRECTORY, XS_MKDIR, XS_RM, XS_GET_PERMS]) {
      expect(await sim.reply(guest, type, '/local/domain/|')).toBe('!EINVAL');
    }
    expect(await sim.reply(guest, XS_WATCH, '/local/domain/|t|')).toBe('!EINVAL');
    expect(await sim.reply(guest, XS_WRITE, '/local/domain/|x')).toBe('!EINVAL');
    expect(await sim.reply(guest, XS_SET_PERMS, '/local/domain/|b1|')).toBe('!EINVAL');
    expect(await sim.reply(guest, XS_DIRECTORY_PART, '/local/domain/|0|')).toBe('!EINVAL');
    expect(sim.xenstored.status().watches).toBe(0);
  });

  test('XSA-484: that resets its watches inside a transaction loses that transaction', async () => {
    const guest = await sim.guestWithHome(1);
    const before = await usage(1, 'memory');
    for (let round = 0; round < 20; round++) {
      const transaction = await startTransaction(guest);
      await sim.ask(guest, XS_WRITE, 'x|', transaction);
      await sim.ask(guest, XS_WATCH, 'x|t|');
      expect(await sim.reply(guest, XS_RESET_WATCHES, '|', transaction)).toBe('OK|');
      expect(await sim.reply(guest, XS_TRANSACTION_END, 'T|', transaction)).toBe('!ENOENT');
    }
    expect(sim.xenstored.status()).toMatchObject({ transactions: 0, watches: 0 });
    expect(await usage(1, 'memory')).toBe(before);
  });

  test('that sends random bytes harms nobody else', async () => {
    const guest = await sim.guest(1);
    guest.stream.write(latin1Encode('\xff'.repeat(1024)));
    await sim.settle();
    expect(page(1).error).toBe(XENSTORE_ERROR_PROTO);
    expect(await sim.reply(tools, XS_READ, '/|')).toBe('');
  });
});
