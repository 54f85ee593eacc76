/** What watches are set, and what they tell. */
import { describe, expect, test } from 'vitest';
import {
  XS_MKDIR,
  XS_RELEASE,
  XS_RESET_WATCHES,
  XS_RM,
  XS_SET_PERMS,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_UNWATCH,
  XS_WATCH,
  XS_WATCH_EVENT,
  XS_WRITE,
} from '../../src/abi/io/xs_wire.ts';
import { type ClientName, RequestTables } from './request-tables.ts';

const world = new RequestTables();

describe('watches', () => {
  const ask = (name: ClientName, type: number, payload: string) =>
    world.sim.ask(world.clients[name], type, payload);

  test('fire once when they are set, after the reply', async () => {
    world.clients.tools.send(XS_WATCH, '/not/there|t|');
    await world.sim.settle();
    expect(world.clients.tools.received.map(({ type }) => type)).toEqual([
      XS_WATCH,
      XS_WATCH_EVENT,
    ]);
    expect(world.clients.tools.take().events).toEqual(['/not/there|t|']);
  });

  test('are told the path as they were set: relative, or not', async () => {
    expect((await ask('guest', XS_WATCH, 'x|r|')).events).toEqual(['x|r|']);
    await ask('guest', XS_WATCH, '/local/domain/1/x|a|');
    expect((await ask('guest', XS_WRITE, 'x/y|')).events).toEqual([
      'x/y|r|',
      '/local/domain/1/x/y|a|',
    ]);
    expect((await ask('tools', XS_WATCH, 'x|s|')).events).toEqual(['x|s|']);
    expect((await ask('tools', XS_WRITE, '/local/domain/0/x|')).events).toEqual(['x|s|']);
  });

  test('below what is removed are told their own path, deepest first', async () => {
    await ask('tools', XS_WRITE, '/a/b/c|');
    for (const path of ['/a', '/a/b', '/a/b/c', '/a/x']) await ask('tools', XS_WATCH, `${path}|t|`);
    expect((await ask('tools', XS_RM, '/a|')).events).toEqual(['/a/b/c|t|', '/a/b|t|', '/a|t|']);
  });

  test('fire once after a commit, not before, not after an abort', async () => {
    await ask('kernel', XS_WATCH, '/a|t|');
    for (const [verdict, events] of [
      ['F', []],
      ['T', ['/a|t|', '/a/b|t|']],
    ] as const) {
      const number = Number.parseInt(
        (await ask('tools', XS_TRANSACTION_START, '|')).reply ?? '',
        10,
      );
      for (const value of ['1', '2']) {
        await world.sim.ask(world.clients.tools, XS_WRITE, `/a|${value}`, number);
        await world.sim.ask(world.clients.tools, XS_WRITE, `/a/b|${value}`, number);
      }
      expect(world.clients.kernel.take().events).toEqual([]);
      await world.sim.ask(world.clients.tools, XS_TRANSACTION_END, `${verdict}|`, number);
      expect(world.clients.kernel.take().events).toEqual(events);
    }
  });

  test('are told of a change of permissions that hides the node from them', async () => {
    await ask('tools', XS_WRITE, '/x|');
    await ask('tools', XS_SET_PERMS, '/x|r0|');
    await ask('guest', XS_WATCH, '/x|t|');
    await ask('tools', XS_SET_PERMS, '/x|n0|');
    expect(world.clients.guest.take().events).toEqual(['/x|t|']);
    await ask('tools', XS_WRITE, '/x|secret');
    expect(world.clients.guest.take().events).toEqual([]);
  });

  test('are refused: twice the same, of a bad path, too many', async () => {
    const errors = async (payload: string, type = XS_WATCH) =>
      (await ask('guest', type, payload)).reply;
    expect(await errors('x|t|')).toBe('OK|');
    expect(await errors('/local/domain/1/x|t|')).toBe('!EEXIST');
    expect(await errors('x|u|')).toBe('OK|');
    expect(await errors('x/|t|')).toBe('!EINVAL');
    expect(await errors('x|')).toBe('!EINVAL');
    expect(await errors('x|t|1|more|')).toBe('!EINVAL');
    expect(await errors('x|t|-1|')).toBe('!EINVAL');
    expect(await errors('x|none|', XS_UNWATCH)).toBe('!ENOENT');
    expect(await errors('/local/domain/1/x|t|', XS_UNWATCH)).toBe('OK|');
    for (let i = 2; i <= 129; i++) expect(await errors(`y|${i}|`)).toBe('OK|');
    expect(await errors('z|t|')).toBe('!E2BIG');
    expect(world.sim.log).toContain('warn: domain 1 was denied: a watch');
    expect(await errors('|', XS_RESET_WATCHES)).toBe('OK|');
    expect(await errors('z|t|')).toBe('OK|');
  });

  test('for a happening are for those who may', async () => {
    await ask('guest', XS_WATCH, '@introduceDomain|g|');
    await ask('other', XS_WATCH, '@introduceDomain|o|');
    await ask('tools', XS_SET_PERMS, '@introduceDomain|n0|r2|');
    await ask('kernel', XS_WATCH, '@introduceDomain|k|');
    for (const client of Object.values(world.clients)) client.take();
    await world.sim.guest(3);
    expect(world.clients.guest.take().events).toEqual([]);
    expect(world.clients.other.take().events).toEqual(['@introduceDomain|o|']);
    expect(world.clients.kernel.take().events).toEqual(['@introduceDomain|k|']);
  });

  test('with a depth hear of as many levels', async () => {
    await ask('tools', XS_MKDIR, '/a/b/c/d|');
    for (const depth of [0, 1, 2]) await ask('kernel', XS_WATCH, `/a|${depth}|${depth}|`);
    await ask('kernel', XS_WATCH, '/|root|1|');
    world.clients.kernel.take();
    const heard = async (type: number, path: string) => {
      await ask('tools', type, `${path}|`);
      return world.clients.kernel.take().events;
    };
    expect(await heard(XS_WRITE, '/a')).toEqual(['/a|0|', '/a|1|', '/a|2|', '/a|root|']);
    expect(await heard(XS_WRITE, '/a/b')).toEqual(['/a/b|1|', '/a/b|2|']);
    expect(await heard(XS_WRITE, '/a/b/c')).toEqual(['/a/b/c|2|']);
    expect(await heard(XS_WRITE, '/a/b/c/d')).toEqual([]);
    expect(await heard(XS_RM, '/')).toEqual([]);
    expect(await heard(XS_RM, '/a/b')).toEqual(['/a/b|1|', '/a/b|2|']);
  });

  test('with a depth for a happening are told which domain, or only of one', async () => {
    for (const watch of ['@introduceDomain|all|', '@introduceDomain|each|1|']) {
      await ask('tools', XS_WATCH, watch);
    }
    for (const watch of [
      '@releaseDomain|all|',
      '@releaseDomain|each|1|',
      '@releaseDomain|none|0|',
    ]) {
      await ask('tools', XS_WATCH, watch);
    }
    await ask('tools', XS_WATCH, '@releaseDomain/3|three|');
    await world.sim.guest(3);
    await world.sim.guest(4);
    expect(world.clients.tools.take().events).toEqual([
      '@introduceDomain|all|',
      '@introduceDomain/3|each|',
      '@introduceDomain|all|',
      '@introduceDomain/4|each|',
    ]);
    world.sim.guests.get(4)?.domain.kill();
    await world.sim.settle();
    expect(world.clients.tools.take().events).toEqual([
      '@releaseDomain|all|',
      '@releaseDomain/4|each|',
    ]);
    await ask('tools', XS_RELEASE, '3|');
  });
});
