import { describe, expect, test } from 'vitest';
import { latin1Encode } from '../../src/base/bytes.ts';
import type { Clock } from '../../src/base/clock.ts';
import { errorCode, ProtocolViolation, XenError } from '../../src/base/errors.ts';
import { DOM0, domId } from '../../src/base/ids.ts';
import { XenstoreClient } from '../../src/xenstore/client.ts';
import { encodePacket } from '../../src/xenstore/packet.ts';
import { FakeServer, type Script } from './fake-server.ts';
import { type PipeEnd, pipe } from './pipe.ts';

/** Time that passes as soon as somebody waits for it; `delays` is what was waited for. */
function hurriedClock(): Clock & { delays: number[] } {
  const delays: number[] = [];
  return {
    delays,
    now_ms: () => 0,
    wallclock_ms: () => 0,
    after(delay_ms, callback) {
      delays.push(delay_ms);
      const immediate = setImmediate(callback);
      return { cancel: () => clearImmediate(immediate) };
    },
  };
}

function connect(script: Script, ends: [PipeEnd, PipeEnd] = pipe()) {
  const clock = hurriedClock();
  const server = new FakeServer(ends[1], script);
  const client = new XenstoreClient(ends[0], clock);
  return { client, server, clock, serverEnd: ends[1] };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

describe('operations', () => {
  const replies: Record<string, string> = {
    'READ /a\0': 'va\0lue\xff',
    'READ /gone\0': '!ENOENT',
    'READ /mine\0': '!EACCES',
    'DIRECTORY /a\0': 'b\0c\0',
    'DIRECTORY /empty\0': '',
    'WRITE /a\0va\0lue\xff': 'OK\0',
    'MKDIR /a\0': 'OK\0',
    'RM /a\0': 'OK\0',
    'GET_PERMS /a\0': 'n0\0r5\0',
    'SET_PERMS /a\0b3\0n0\0': 'OK\0',
    'GET_DOMAIN_PATH 3\0': '/local/domain/3\0',
    'IS_DOMAIN_INTRODUCED 3\0': 'T\0',
    'IS_DOMAIN_INTRODUCED 0\0': 'F\0',
    'INTRODUCE 3\x001000\x007\0': 'OK\0',
    'RELEASE 3\0': 'OK\0',
    'SET_TARGET 3\x000\0': 'OK\0',
    'CONTROL print\0hello\0': 'OK\0',
    'CONTROL help\0': 'no NUL here',
  };
  const script: Script = ({ name, text }) => replies[`${name} ${text}`] ?? '!ENOSYS';
  const three = domId(3);

  test('each operation sends what xenstored expects and understands its reply', async () => {
    const { client } = connect(script);
    expect(await client.read('/a')).toBe('va\0lue\xff');
    expect(await client.list('/a')).toEqual(['b', 'c']);
    expect(await client.list('/empty')).toEqual([]);
    await client.write('/a', 'va\0lue\xff');
    await client.mkdir('/a');
    await client.remove('/a');
    expect(await client.getPermissions('/a')).toEqual([
      { domid: 0, access: 'n' },
      { domid: 5, access: 'r' },
    ]);
    await client.setPermissions('/a', [
      { domid: three, access: 'b' },
      { domid: DOM0, access: 'n' },
    ]);
    expect(await client.domainPath(three)).toBe('/local/domain/3');
    expect(await client.isDomainIntroduced(three)).toBe(true);
    expect(await client.isDomainIntroduced(DOM0)).toBe(false);
    await client.introduce(three, 1000, 7);
    await client.release(three);
    await client.setTarget(three, DOM0);
    expect(await client.control('print', 'hello')).toBe('OK');
    expect(await client.control('help')).toBe('no NUL here');
    client.close();
  });

  test('a refusal carries the code, the operation and the path', async () => {
    const { client } = connect(script);
    const error = await client.read('/gone').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(XenError);
    expect((error as XenError).code).toBe('ENOENT');
    expect((error as XenError).message).toContain('READ /gone');
    client.close();
  });

  test('readIfPresent tells a node that is not there from one that is hidden', async () => {
    const { client } = connect(script);
    expect(await client.readIfPresent('/a')).toBe('va\0lue\xff');
    expect(await client.readIfPresent('/gone')).toBeUndefined();
    await expect(client.readIfPresent('/mine')).rejects.toMatchObject({ code: 'EACCES' });
    client.close();
  });

  test('an error that xs_wire.h does not have is EIO with its name', async () => {
    const { client } = connect(() => '!EFLUX');
    await expect(client.read('/a')).rejects.toThrow(/EFLUX.*EIO/);
    client.close();
  });

  test('a request that no packet holds is refused without being sent', async () => {
    const { client, server } = connect(script);
    await expect(client.write('/a', 'x'.repeat(4094))).rejects.toMatchObject({ code: 'E2BIG' });
    await client.read('/a');
    expect(server.requests).toEqual(['0:READ /a\0']);
    client.close();
  });

  test('requests are pipelined, and replies find theirs in any order', async () => {
    const [left, right] = pipe(100, 7);
    const waiting: number[] = [];
    const { client, server } = connect(
      ({ packet }) => {
        waiting.push(packet.requestId);
        if (waiting.length === 10) {
          for (const requestId of waiting.reverse()) {
            const payload = latin1Encode(`reply ${requestId}`);
            server.send({ type: 2, requestId, transactionId: 0, payload });
          }
        }
        return undefined;
      },
      [left, right],
    );
    const replies = await Promise.all(Array.from({ length: 10 }, (_, i) => client.read(`/${i}`)));
    expect(replies).toEqual(Array.from({ length: 10 }, (_, i) => `reply ${i + 1}`));
    client.close();
  });
});

describe('large directories', () => {
  const names = Array.from({ length: 2000 }, (_, i) => `device-${i}`);

  function part(generation: string, list: readonly string[], offset: number): string {
    const all = list.map((name) => `${name}\0`).join('');
    const cut = all.slice(offset, offset + 4000);
    const whole = cut.slice(0, cut.lastIndexOf('\0') + 1);
    return `${generation}\0${whole}${offset + whole.length === all.length ? '\0' : ''}`;
  }

  test('are listed in parts when one reply does not hold them', async () => {
    const { client, server } = connect(({ name, text }) =>
      name === 'DIRECTORY' ? '!E2BIG' : part('5', names, Number(text.split('\0')[1])),
    );
    expect(await client.list('/big')).toEqual(names);
    expect(server.requests.length).toBeGreaterThan(5);
    client.close();
  });

  test('are listed anew when they change meanwhile', async () => {
    let asked = 0;
    const { client } = connect(({ name, text }) => {
      if (name === 'DIRECTORY') return '!E2BIG';
      asked++;
      const changed = asked > 2;
      return part(
        changed ? '6' : '5',
        changed ? ['x', ...names] : names,
        Number(text.split('\0')[1]),
      );
    });
    expect(await client.list('/big')).toEqual(['x', ...names]);
    client.close();
  });

  test('that became empty meanwhile are empty', async () => {
    const { client } = connect(({ name }) => (name === 'DIRECTORY' ? '!E2BIG' : '7\0\0'));
    expect(await client.list('/big')).toEqual([]);
    client.close();
  });

  test('that never stop changing end in EAGAIN', async () => {
    let generation = 0;
    const { client } = connect(({ name, text }) => {
      generation++;
      return name === 'DIRECTORY'
        ? '!E2BIG'
        : part(String(generation), names, Number(text.split('\0')[1]));
    });
    await expect(client.list('/big')).rejects.toMatchObject({ code: 'EAGAIN' });
    client.close();
  });

  test('whose parts make no progress or never end are refused', async () => {
    const { client: stuck } = connect(({ name }) => (name === 'DIRECTORY' ? '!E2BIG' : '5\0'));
    await expect(stuck.list('/big')).rejects.toThrow(ProtocolViolation);
    stuck.close();
    const endless = `5\0${'n'.repeat(4000)}\0`;
    const { client } = connect(({ name }) => (name === 'DIRECTORY' ? '!E2BIG' : endless));
    await expect(client.list('/big')).rejects.toMatchObject({ code: 'ENOMEM' });
    client.close();
  });
});

describe('transactions', () => {
  function store(conflicts: number): Script {
    let ids = 0;
    return ({ name, text }) => {
      if (name === 'TRANSACTION_START') return `${++ids}\0`;
      if (name === 'TRANSACTION_END' && text === 'T\0' && ids <= conflicts) return '!EAGAIN';
      return 'OK\0';
    };
  }

  test('run their operations under one id and commit', async () => {
    const { client, server } = connect(store(0));
    const result = await client.transaction(async (nodes) => {
      await nodes.write('/a', '1');
      await nodes.remove('/b');
      return 'done';
    });
    expect(result).toBe('done');
    expect(server.requests).toEqual([
      '0:TRANSACTION_START \0',
      '1:WRITE /a\x001',
      '1:RM /b\0',
      '1:TRANSACTION_END T\0',
    ]);
    client.close();
  });

  test('run again from the start after a conflict, later and later', async () => {
    const { client, server, clock } = connect(store(7));
    let runs = 0;
    await client.transaction(async (nodes) => {
      runs++;
      await nodes.read('/a');
    });
    expect(runs).toBe(8);
    expect(server.requests.at(-1)).toBe('8:TRANSACTION_END T\0');
    expect(clock.delays).toEqual([1, 2, 4, 8]);
    client.close();
  });

  test('give up after a stated number of conflicts', async () => {
    const { client } = connect(store(1000));
    let runs = 0;
    const body = async () => {
      runs++;
    };
    await expect(client.transaction(body)).rejects.toMatchObject({ code: 'EAGAIN' });
    expect(runs).toBe(100);
    client.close();
  });

  test('are aborted when their body throws, and pass its error on', async () => {
    const { client, server } = connect(store(0));
    const body = async () => {
      throw new Error('the body failed');
    };
    await expect(client.transaction(body)).rejects.toThrow('the body failed');
    expect(server.requests.at(-1)).toBe('1:TRANSACTION_END F\0');
    client.close();
  });

  test('cannot be used after their end', async () => {
    const { client } = connect(store(0));
    const nodes = await client.transaction(async (inside) => inside);
    await expect(nodes.read('/a')).rejects.toThrow('its transaction is over');
    client.close();
  });

  test.each(['0\0', 'x\0', '4294967296\0', '', '1'])(
    'whose id is %j break the protocol',
    async (id) => {
      const { client } = connect(() => id);
      await expect(client.transaction(async () => {})).rejects.toThrow(ProtocolViolation);
      client.close();
    },
  );
});

describe('watches', () => {
  const tokenOf = (request: string | undefined) => request?.split('\0')[1] ?? '';

  test('have a token each, and each event goes to its own handler', async () => {
    const { client, server } = connect(() => 'OK\0');
    const seen: string[] = [];
    await client.watch('/a', (path) => seen.push(`first ${path}`));
    await client.watch('/a', (path) => seen.push(`second ${path}`));
    const [first, second] = server.requests.map(tokenOf);
    expect(first).not.toBe(second);
    server.event('/a/b', second ?? '');
    server.event('/a/c', first ?? '');
    server.event('/a/d', 'somebody else');
    await turns();
    expect(seen).toEqual(['second /a/b', 'first /a/c']);
    client.close();
  });

  test('are silent once their close was asked for, and close once', async () => {
    const { client, server } = connect(() => 'OK\0');
    const seen: string[] = [];
    const watch = await client.watch('/a', (path) => seen.push(path));
    const token = tokenOf(server.requests[0]);
    server.event('/a/before', token);
    await turns();
    const closing = watch.close();
    server.event('/a/after', token);
    await closing;
    await watch.close();
    await turns();
    expect(seen).toEqual(['/a/before']);
    expect(server.requests.filter((request) => request.includes('UNWATCH'))).toEqual([
      `0:UNWATCH /a\0${token}\0`,
    ]);
    client.close();
  });

  test('that xenstored refuses do not stay', async () => {
    const { client } = connect(() => '!E2BIG');
    await expect(client.watch('/a', () => {})).rejects.toMatchObject({ code: 'E2BIG' });
    client.close();
  });

  test('close in peace when the connection has ended', async () => {
    const { client } = connect(() => 'OK\0');
    const watch = await client.watch('/a', () => {});
    client.close();
    await watch.close();
  });

  test('in a flood share the event loop with others', async () => {
    const { client, server, clock } = connect(() => 'OK\0');
    let count = 0;
    await client.watch('/a', () => count++);
    for (let i = 0; i < 1000; i++) server.event('/a', tokenOf(server.requests[0]));
    await turns(10);
    expect(count).toBe(1000);
    expect(clock.delays.length).toBeGreaterThanOrEqual(3);
    client.close();
  });
});

describe('the end of a connection', () => {
  test('by close rejects what is under way and what comes after with ECONNRESET', async () => {
    const { client } = connect(() => undefined);
    const ends: XenError[] = [];
    client.onEnd((reason) => ends.push(reason));
    const pending = [client.read('/a'), client.list('/'), client.transaction(async () => {})];
    client.close();
    client.close();
    for (const promise of pending)
      await expect(promise).rejects.toMatchObject({ code: 'ECONNRESET' });
    await expect(client.read('/a')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(ends).toHaveLength(1);
  });

  test('by xenstored rejects what is under way, in the middle of a reply too', async () => {
    const ends = pipe();
    const { client, serverEnd } = connect(() => undefined, ends);
    const pending = client.read('/a');
    pending.catch(() => {});
    await turns();
    const reply = encodePacket({
      type: 2,
      requestId: 1,
      transactionId: 0,
      payload: latin1Encode('value'),
    });
    serverEnd.write(reply.subarray(0, 18));
    serverEnd.close();
    await expect(pending).rejects.toThrow(/READ \/a.*has gone.*ECONNRESET/);
  });

  test('is told to a handler that came late', async () => {
    const { client } = connect(() => undefined);
    client.close();
    const reason = await new Promise<XenError>((resolve) => client.onEnd(resolve));
    expect(errorCode(reason)).toBe('ECONNRESET');
  });
});

describe('a xenstored that breaks the protocol', () => {
  const header = (type: number, requestId: number, length: number) => {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    [type, requestId, 0, length].forEach((value, i) => {
      view.setUint32(4 * i, value, true);
    });
    return bytes;
  };

  test.each([
    ['answers a request that was never made', header(2, 77, 0), 'echoes the req_id'],
    ['answers with another type', header(1, 1, 0), 'has the type of its request'],
    ['claims a gigabyte', header(2, 1, 0x40000000), 'len <= XENSTORE_PAYLOAD_MAX'],
    ['sends an event without a path', header(15, 0, 0), 'a path and a token'],
  ])('%s: all is rejected with the rule, and the connection closed', async (_, bytes, rule) => {
    const { client, serverEnd } = connect(() => undefined);
    const pending = [client.read('/a'), client.read('/b')];
    for (const promise of pending) promise.catch(() => {});
    await turns();
    serverEnd.write(bytes);
    for (const promise of pending) {
      await expect(promise).rejects.toThrow(ProtocolViolation);
      await expect(promise).rejects.toThrow(rule);
    }
    expect(serverEnd.ended).toBe(true);
  });

  test.each([
    ['list', (client: XenstoreClient) => client.list('/a'), 'b\0c'],
    ['getPermissions', (client: XenstoreClient) => client.getPermissions('/a'), 'x9\0'],
    ['getPermissions', (client: XenstoreClient) => client.getPermissions('/a'), 'n99999\0'],
    ['domainPath', (client: XenstoreClient) => client.domainPath(DOM0), ''],
    ['domainPath', (client: XenstoreClient) => client.domainPath(DOM0), '/a\0/b\0'],
    ['isDomainIntroduced', (client: XenstoreClient) => client.isDomainIntroduced(DOM0), 'X\0'],
  ])('%s with a garbled reply is rejected and harms nothing else', async (_, run, reply) => {
    const { client } = connect(({ name }) => (name === 'READ' ? 'fine' : reply));
    await expect(run(client)).rejects.toThrow(ProtocolViolation);
    expect(await client.read('/a')).toBe('fine');
    client.close();
  });
});
