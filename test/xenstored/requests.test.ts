/** What is answered to what. */
import { describe, expect, test } from 'vitest';
import {
  XenstoreDomainInterface,
  XS_CONTROL,
  XS_DIRECTORY,
  XS_DIRECTORY_PART,
  XS_ERROR,
  XS_GET_DOMAIN_PATH,
  XS_GET_FEATURE,
  XS_GET_PERMS,
  XS_GET_QUOTA,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_MKDIR,
  XS_READ,
  XS_RELEASE,
  XS_RESUME,
  XS_RM,
  XS_SET_FEATURE,
  XS_SET_PERMS,
  XS_SET_QUOTA,
  XS_SET_TARGET,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_WATCH,
  XS_WATCH_EVENT,
  XS_WRITE,
} from '../../src/abi/io/xs_wire.ts';
import type { SimGuest } from '../../src/hypervisor/sim/world.ts';
import { RequestTables, type Row } from './request-tables.ts';

const world = new RequestTables();
const play = (rows: readonly Row[]) => world.play(rows);

describe('nodes', () => {
  test('are there from the start: /tool/xenstored', () =>
    play([
      ['tools', XS_DIRECTORY, '/tool|', 'xenstored|'],
      ['tools', XS_READ, '/tool/xenstored|', ''],
      ['tools', XS_GET_PERMS, '/|', 'n0|'],
    ]));

  test('hold any bytes', () =>
    play([
      ['tools', XS_WRITE, '/a/b/c|one|two|', 'OK|'],
      ['tools', XS_READ, '/a/b/c|', 'one|two|'],
      ['tools', XS_READ, '/a/b|', ''],
      ['tools', XS_WRITE, '/a/b/c|', 'OK|'],
      ['tools', XS_READ, '/a/b/c|', ''],
    ]));

  test('are listed in order of their creation', () =>
    play([
      ['tools', XS_MKDIR, '/z|', 'OK|'],
      ['tools', XS_MKDIR, '/a|', 'OK|'],
      ['tools', XS_RM, '/z|', 'OK|'],
      ['tools', XS_MKDIR, '/z|', 'OK|'],
      ['tools', XS_DIRECTORY, '/|', 'tool|local|a|z|'],
    ]));

  test('that are not there', () =>
    play([
      ['tools', XS_READ, '/x|', '!ENOENT'],
      ['tools', XS_DIRECTORY, '/x|', '!ENOENT'],
      ['tools', XS_RM, '/x|', 'OK|'],
      ['tools', XS_RM, '/x/y|', '!ENOENT'],
      ['tools', XS_GET_PERMS, '/x|', '!ENOENT'],
      ['tools', XS_SET_PERMS, '/x|n0|', '!ENOENT'],
    ]));

  test('are listed in parts with the generation first', async () => {
    await play([['tools', XS_WRITE, '/d/abc|', 'OK|']]);
    const whole = await world.sim.reply(world.clients.tools, XS_DIRECTORY_PART, '/d|0|');
    expect(whole).toMatch(/^\d+\|abc\|\|$/);
    expect(await world.sim.reply(world.clients.tools, XS_DIRECTORY_PART, '/d|0|')).toBe(whole);
    expect(await world.sim.reply(world.clients.tools, XS_DIRECTORY_PART, '/d|4|')).toMatch(
      /^\d+\|\|$/,
    );
    await play([
      ['tools', XS_MKDIR, '/d/x|', 'OK|'],
      ['tools', XS_DIRECTORY_PART, '/d|', '!EINVAL'],
    ]);
    const later = await world.sim.reply(world.clients.tools, XS_DIRECTORY_PART, '/d|0|');
    expect(Number.parseInt(later ?? '', 10)).toBeGreaterThan(Number.parseInt(whole ?? '', 10));
  });

  test('named against the grammar', () =>
    play(
      ['', '/a/', '//', '/a//b', '/a b', '/a\u00e4', '@x', '/a*'].flatMap((path): Row[] => [
        ['tools', XS_READ, `${path}|`, '!EINVAL'],
        ['guest', XS_WRITE, `${path}|v`, '!EINVAL'],
      ]),
    ));

  test('in requests without the NUL that ends a path', () =>
    play([
      ['tools', XS_READ, '/', '!EINVAL'],
      ['tools', XS_READ, '', '!EINVAL'],
      ['tools', XS_READ, '/|x|', '!EINVAL'],
      ['tools', XS_WRITE, '/a', '!EINVAL'],
      ['tools', XS_SET_PERMS, '/|', '!EINVAL'],
    ]));
});

describe('permissions', () => {
  test('are inherited, and what a guest creates is its own', () =>
    play([
      ['tools', XS_MKDIR, '/open|', 'OK|'],
      ['tools', XS_SET_PERMS, '/open|b0|r2|', 'OK|'],
      ['guest', XS_WRITE, '/open/mine/deep|v', 'OK|'],
      ['guest', XS_GET_PERMS, '/open/mine|', 'b1|r2|'],
      ['tools', XS_WRITE, '/open/mine/ours|v', 'OK|'],
      ['guest', XS_GET_PERMS, '/open/mine/ours|', 'b1|r2|'],
      ['other', XS_READ, '/open/mine/deep|', 'v'],
      ['other', XS_WRITE, '/open/mine/deep|w', '!EACCES'],
    ]));

  test('hide what is below a hidden place', () =>
    play([
      ['tools', XS_WRITE, '/hidden/x|', 'OK|'],
      ['guest', XS_READ, '/hidden/x|', '!EACCES'],
      ['guest', XS_READ, '/hidden/y|', '!EACCES'],
      ['guest', XS_RM, '/hidden/y|', '!EACCES'],
      ['guest', XS_READ, 'y|', '!ENOENT'],
      ['tools', XS_SET_PERMS, '/hidden/x|r0|', 'OK|'],
      ['guest', XS_READ, '/hidden/x|', ''],
      ['guest', XS_READ, '/hidden/x/y|', '!ENOENT'],
    ]));

  test('are refused: too many, of nobody, and for an @ path that is not', () =>
    play([
      ['guest', XS_SET_PERMS, '/local/domain/1|n1|r2|r2|r2|r2|', 'OK|'],
      ['guest', XS_SET_PERMS, '/local/domain/1|n1|r2|r2|r2|r2|r2|', '!ENOSPC'],
      ['tools', XS_SET_PERMS, '/local/domain/1|n1|r2|r2|r2|r2|r2|', 'OK|'],
      ['tools', XS_SET_PERMS, '/local/domain/1|n9|', '!ENOENT'],
      ['tools', XS_SET_PERMS, '/local/domain/1|x1|', '!EINVAL'],
      ['tools', XS_SET_PERMS, '@other|n0|', '!EINVAL'],
      ['guest', XS_SET_PERMS, '@releaseDomain|n1|', '!EACCES'],
      ['kernel', XS_SET_PERMS, '@releaseDomain|n0|r1|', 'OK|'],
    ]));

  test('of a target are lent', () =>
    play([
      ['guest', XS_WRITE, 'x|v', 'OK|'],
      ['other', XS_READ, '/local/domain/1/x|', '!EACCES'],
      ['tools', XS_SET_TARGET, '2|1|', 'OK|'],
      ['other', XS_READ, '/local/domain/1/x|', 'v'],
      ['other', XS_WRITE, '/local/domain/1/y|', 'OK|'],
      ['other', XS_GET_PERMS, '/local/domain/1/y|', 'n2|'],
    ]));
});

describe('transactions', () => {
  test('are numbered from 1, keep their changes to themselves and commit them', () =>
    play([
      ['tools', XS_TRANSACTION_START, '|', '1|'],
      ['tools', XS_WRITE, '/t/a|v', 'OK|', 1],
      ['tools', XS_READ, '/t/a|', 'v', 1],
      ['tools', XS_DIRECTORY, '/|', 'tool|local|t|', 1],
      ['kernel', XS_READ, '/t/a|', '!ENOENT'],
      ['tools', XS_TRANSACTION_END, 'T|', 'OK|', 1],
      ['kernel', XS_READ, '/t/a|', 'v'],
      ['tools', XS_READ, '/t/a|', '!ENOENT', 1],
      ['tools', XS_TRANSACTION_START, '|', '2|'],
      ['tools', XS_RM, '/t|', 'OK|', 2],
      ['tools', XS_TRANSACTION_END, 'F|', 'OK|', 2],
      ['tools', XS_READ, '/t/a|', 'v'],
    ]));

  test('get EAGAIN when what they have seen has changed, and see what they have seen', () =>
    play([
      ['tools', XS_WRITE, '/a|1', 'OK|'],
      ['tools', XS_TRANSACTION_START, '|', '1|'],
      ['tools', XS_READ, '/a|', '1', 1],
      ['kernel', XS_WRITE, '/a|2', 'OK|'],
      ['tools', XS_READ, '/a|', '1', 1],
      ['tools', XS_WRITE, '/b|', 'OK|', 1],
      ['tools', XS_TRANSACTION_END, 'T|', '!EAGAIN', 1],
      ['tools', XS_READ, '/b|', '!ENOENT'],
    ]));

  test('do not mind changes that they have not seen', () =>
    play([
      ['tools', XS_MKDIR, '/x|', 'OK|'],
      ['tools', XS_MKDIR, '/y|', 'OK|'],
      ['tools', XS_TRANSACTION_START, '|', '1|'],
      ['tools', XS_WRITE, '/x/a|1', 'OK|', 1],
      ['kernel', XS_WRITE, '/y/b|2', 'OK|'],
      ['tools', XS_READ, '/y/b|', '2', 1],
      ['tools', XS_TRANSACTION_END, 'T|', 'OK|', 1],
      ['tools', XS_READ, '/x/a|', '1'],
    ]));

  test('remove and create the same node', () =>
    play([
      ['tools', XS_WRITE, '/a/b|1', 'OK|'],
      ['tools', XS_TRANSACTION_START, '|', '1|'],
      ['tools', XS_RM, '/a|', 'OK|', 1],
      ['tools', XS_READ, '/a/b|', '!ENOENT', 1],
      ['tools', XS_WRITE, '/a/c|2', 'OK|', 1],
      ['tools', XS_DIRECTORY, '/a|', 'c|', 1],
      ['tools', XS_TRANSACTION_END, 'T|', 'OK|', 1],
      ['tools', XS_DIRECTORY, '/a|', 'c|'],
      ['tools', XS_READ, '/a/b|', '!ENOENT'],
    ]));

  test('fail whole when a domain that owns one of their nodes is gone', async () => {
    await play([
      ['tools', XS_TRANSACTION_START, '|', '1|'],
      ['tools', XS_MKDIR, '/for2|', 'OK|', 1],
      ['tools', XS_SET_PERMS, '/for2|n2|', 'OK|', 1],
    ]);
    world.sim.guests.get(2)?.domain.kill();
    await world.sim.settle();
    await play([
      ['tools', XS_TRANSACTION_END, 'T|', '!ENOMEM', 1],
      ['tools', XS_READ, '/for2|', '!ENOENT'],
    ]);
  });

  test('are refused: within another, without a number, with a word that is not', () =>
    play([
      ['tools', XS_TRANSACTION_START, '|', '1|'],
      ['tools', XS_TRANSACTION_START, '|', '!EBUSY', 1],
      ['tools', XS_TRANSACTION_END, 'X|', '!EINVAL', 1],
      ['tools', XS_TRANSACTION_END, 'T|', '!ENOENT'],
      ['tools', XS_TRANSACTION_END, 'T|', '!ENOENT', 7],
      ['kernel', XS_READ, '/|', '!ENOENT', 1],
      ['tools', XS_GET_DOMAIN_PATH, '1|', '!ENOENT', 9],
      ['tools', XS_WATCH, '/|t|', 'OK|', 9],
    ]));
});

describe('requests about domains', () => {
  test('are for privileged clients', () =>
    play([
      ...[XS_CONTROL, XS_INTRODUCE, XS_RELEASE, XS_RESUME, XS_SET_TARGET].map(
        (type): Row => ['guest', type, '1|2|3|', '!EACCES'],
      ),
      ['guest', XS_IS_DOMAIN_INTRODUCED, '1|', '!EACCES'],
      ['guest', XS_GET_DOMAIN_PATH, '1|', '/local/domain/1|'],
    ]));

  test('name real domains', () =>
    play([
      ['tools', XS_IS_DOMAIN_INTRODUCED, '1|', 'T|'],
      ['tools', XS_IS_DOMAIN_INTRODUCED, '3|', 'F|'],
      ['tools', XS_IS_DOMAIN_INTRODUCED, `${0x7ff0}|`, 'T|'],
      ['tools', XS_GET_DOMAIN_PATH, '007|', '/local/domain/7|'],
      ['tools', XS_RELEASE, '0|', '!EINVAL'],
      ['tools', XS_RELEASE, '3|', '!ENOENT'],
      ['tools', XS_RESUME, '0|', '!EINVAL'],
      ['tools', XS_RESUME, '3|', '!ENOENT'],
      ['tools', XS_SET_TARGET, '1|3|', '!ENOENT'],
      ['tools', XS_INTRODUCE, '3|1|', '!EINVAL'],
      ['tools', XS_INTRODUCE, '3|1|0|', '!EINVAL'],
      ['tools', XS_INTRODUCE, '3|1|1|', '!EINVAL'],
      ['tools', XS_INTRODUCE, '99999|1|1|', '!EINVAL'],
    ]));
});

test('a type that is no request is answered with ENOSYS', () =>
  play(
    [XS_WATCH_EVENT, XS_ERROR, 20, 27, 4711].map((type): Row => ['guest', type, 'x', '!ENOSYS']),
  ));

describe('control', () => {
  test('shows and sets quotas', () =>
    play([
      ['tools', XS_CONTROL, 'quota|set|nodes|3|', 'OK|'],
      ['guest', XS_MKDIR, 'a/b|', 'OK|'],
      ['guest', XS_MKDIR, 'c|', '!ENOSPC'],
      ['tools', XS_CONTROL, 'quota|set|nodes|0|', '!EINVAL'],
      ['tools', XS_CONTROL, 'quota|set|nothing|1|', '!EINVAL'],
      ['tools', XS_CONTROL, 'quota|9|', '!ENOENT'],
      ['tools', XS_CONTROL, 'quota-soft|set|memory|5|', 'OK|'],
      [
        'tools',
        XS_CONTROL,
        'quota-soft|',
        'Quota settings:\nmemory           :        5 Total Xenstore memory per domain (warning level)\n|',
      ],
    ]));

  test('refuses what it does not know', () =>
    play([
      ['tools', XS_CONTROL, 'unknown|', '!EINVAL'],
      ['tools', XS_CONTROL, '__proto__|', '!EINVAL'],
      ['tools', XS_CONTROL, '', '!EINVAL'],
      ['tools', XS_CONTROL, 'check|x|', '!EINVAL'],
      ['tools', XS_CONTROL, 'log|maybe|', '!EINVAL'],
      ['tools', XS_CONTROL, 'memreport|', '!EINVAL'],
      ['tools', XS_CONTROL, 'live-update|-s|', 'live update: the file comes first (EINVAL)|'],
    ]));

  test('lists watches and transactions', async () => {
    await play([
      ['guest', XS_WATCH, 'x|t|2|', 'OK|'],
      ['kernel', XS_WATCH, '/a|t|', 'OK|'],
      ['tools', XS_WATCH, '/b|t|', 'OK|'],
      [
        'tools',
        XS_CONTROL,
        'watches|',
        'domain 1: /local/domain/1/x t depth 2\ndomain 0: /a t\na socket: /b t\n|',
      ],
      ['guest', XS_TRANSACTION_START, '|', '1|'],
      ['guest', XS_READ, 'x|', '!ENOENT', 1],
      ['tools', XS_CONTROL, 'txn|2|', '|'],
      ['tools', XS_CONTROL, 'txn|9|', '!ENOENT'],
      ['tools', XS_CONTROL, 'txn|', '!EINVAL'],
    ]);
    expect(await world.sim.reply(world.clients.tools, XS_CONTROL, 'txn|1|')).toMatch(
      /^transaction 1: 2 nodes, 1 requests, \d+ bytes\n\|$/,
    );
    for (let i = 0; i < 100; i++)
      world.clients.tools.send(XS_WATCH, `/long|${'t'.repeat(100)}${i}|`);
    await world.sim.settle();
    world.clients.tools.take();
    const list = (await world.sim.reply(world.clients.tools, XS_CONTROL, 'watches|')) ?? '';
    expect(list).toMatch(/\nand \d+ more\n\|$/);
  });

  test('checks the store, and prints', async () => {
    await play([
      ['tools', XS_CONTROL, 'check|', 'OK|'],
      ['tools', XS_CONTROL, 'print|hello|', 'OK|'],
    ]);
    expect(world.sim.log).toContain('info: checked the store');
    expect(world.sim.log).toContain('info: control: hello');
  });
});

describe('features', () => {
  const ALL = '15|';

  test('are told to whoever asks, and of a domain to the privileged', () =>
    play([
      ['tools', XS_GET_FEATURE, '', ALL],
      ['guest', XS_GET_FEATURE, '', ALL],
      ['tools', XS_GET_FEATURE, '1|', ALL],
      ['tools', XS_GET_FEATURE, '9|', '!ENOENT'],
      ['tools', XS_GET_FEATURE, '1x|', '!EINVAL'],
      ['tools', XS_GET_FEATURE, '65536|', '!EINVAL'],
      ['tools', XS_GET_FEATURE, '1|2|', '!EINVAL'],
      ['guest', XS_GET_FEATURE, '1|', '!EACCES'],
      ['guest', XS_SET_FEATURE, '1|2|', '!EACCES'],
    ]));

  test('are in the ring page, and can be withheld before a domain is introduced', async () => {
    const offered = (domid: number) =>
      XenstoreDomainInterface.view((world.sim.guests.get(domid) as SimGuest).xenstore.page.page(0))
        .server_features;
    expect(offered(1)).toBe(15);
    world.sim.build(3);
    await play([
      ['tools', XS_SET_FEATURE, '1|2|', '!EBUSY'],
      ['tools', XS_SET_FEATURE, '3|16|', '!EINVAL'],
      ['tools', XS_SET_FEATURE, '3|', '!EINVAL'],
      ['tools', XS_SET_FEATURE, '3|2|', 'OK|'],
      ['tools', XS_INTRODUCE, world.sim.introduceRequest(3), 'OK|'],
    ]);
    expect(offered(3)).toBe(2);
    const client = world.sim.connectRing(3);
    expect(await world.sim.reply(client, XS_GET_FEATURE, '')).toBe('2|');
    expect(await world.sim.reply(client, XS_WATCH, 'x|t|1|')).toBe('!EINVAL');
    expect(await world.sim.reply(client, XS_WATCH, 'x|t|')).toBe('OK|');
  });

  test('let permissions name every domain', () =>
    play([
      ['tools', XS_WRITE, '/public|v', 'OK|'],
      ['tools', XS_SET_PERMS, '/public|n0|n2|r32757|', 'OK|'],
      ['tools', XS_GET_PERMS, '/public|', 'n0|n2|r32757|'],
      ['guest', XS_READ, '/public|', 'v'],
      ['guest', XS_WRITE, '/public|w', '!EACCES'],
      ['other', XS_READ, '/public|', '!EACCES'],
      ['tools', XS_SET_PERMS, '/public|n32757|', '!ENOENT'],
    ]));
});

describe('quotas', () => {
  test('are named, got and set, for all domains and for one', () =>
    play([
      [
        'tools',
        XS_GET_QUOTA,
        '',
        'nodes watches transactions outstanding transaction-nodes memory node-size path-max permissions soft-memory|',
      ],
      ['tools', XS_GET_QUOTA, 'nodes|', '1000|'],
      ['tools', XS_SET_QUOTA, '1|nodes|2|', 'OK|'],
      ['tools', XS_GET_QUOTA, '1|nodes|', '2|'],
      ['tools', XS_GET_QUOTA, '2|nodes|', '1000|'],
      ['guest', XS_MKDIR, 'a|', 'OK|'],
      ['guest', XS_MKDIR, 'b|', '!ENOSPC'],
      ['other', XS_MKDIR, 'a/b|', 'OK|'],
      ['tools', XS_SET_QUOTA, 'nodes|3|', 'OK|'],
      ['other', XS_MKDIR, 'b|', '!ENOSPC'],
      ['tools', XS_GET_QUOTA, '1|nodes|', '2|'],
      ['tools', XS_SET_QUOTA, '1|nodes|0|', 'OK|'],
      ['guest', XS_MKDIR, 'b/c/d/e|', 'OK|'],
      ['tools', XS_SET_QUOTA, '1|soft-memory|100|', 'OK|'],
      ['tools', XS_GET_QUOTA, '1|soft-memory|', '100|'],
    ]));

  test('of 0 are no limit', () =>
    play([
      ...['nodes', 'watches', 'transactions', 'outstanding', 'transaction-nodes', 'memory'].map(
        (name): Row => ['tools', XS_SET_QUOTA, `${name}|0|`, 'OK|'],
      ),
      ...['node-size', 'path-max', 'permissions', 'soft-memory'].map(
        (name): Row => ['tools', XS_SET_QUOTA, `${name}|0|`, 'OK|'],
      ),
      ['guest', XS_WRITE, `x/${'l'.repeat(2040)}|${'v'.repeat(2030)}`, 'OK|'],
      ['guest', XS_SET_PERMS, 'x|n1|r2|r2|r2|r2|r2|r2|', 'OK|'],
      ['guest', XS_WATCH, 'x|t|', 'OK|'],
      ['guest', XS_TRANSACTION_START, '|', '1|'],
      ['guest', XS_WRITE, 'y|', 'OK|', 1],
      ['guest', XS_TRANSACTION_END, 'T|', 'OK|', 1],
    ]));

  test('are refused: unknown, negative, for no domain, to guests', () =>
    play([
      ['tools', XS_GET_QUOTA, 'nothing|', '!EINVAL'],
      ['tools', XS_GET_QUOTA, '9|nodes|', '!ENOENT'],
      ['tools', XS_GET_QUOTA, '1|nodes|2|', '!EINVAL'],
      ['tools', XS_SET_QUOTA, 'nodes|', '!EINVAL'],
      ['tools', XS_SET_QUOTA, 'nodes|-1|', '!EINVAL'],
      ['tools', XS_SET_QUOTA, '9|nodes|1|', '!ENOENT'],
      ['tools', XS_SET_QUOTA, '1|nodes|1|1|', '!EINVAL'],
      ['guest', XS_GET_QUOTA, 'nodes|', '!EACCES'],
      ['guest', XS_SET_QUOTA, 'nodes|1|', '!EACCES'],
    ]));
});

test('a directory of 10,000 is listed in parts, and too long for one reply', async () => {
  for (let i = 0; i < 10_000; i++) {
    world.clients.tools.write(`/many/child-${i}`, '');
    if (i % 500 === 0) await world.sim.settle();
  }
  await world.sim.settle();
  world.clients.tools.take();
  await play([['tools', XS_DIRECTORY, '/many|', '!E2BIG']]);
  let names = '';
  for (let last = false; !last; ) {
    const reply = await world.sim.reply(
      world.clients.tools,
      XS_DIRECTORY_PART,
      `/many|${names.length}|`,
    );
    const part = (reply ?? '').replace(/^\d+\|/, '');
    last = part === '|' || part.endsWith('||');
    names += last ? part.slice(0, -1) : part;
  }
  expect(names).toBe(Array.from({ length: 10_000 }, (_, i) => `child-${i}|`).join(''));
});
