/** Migration streams of other xenstoreds, good and bad, and what Xen 4.17 is not to be handed. */
import { describe, expect, test } from 'vitest';
import { XS_READ, XS_WATCH_EVENT } from '../../src/abi/io/xs_wire.ts';
import { DOMID_ANY } from '../../src/abi/xen.ts';
import {
  XS_STATE_CONN_FIELDS_UNIQ_ID,
  XS_STATE_NODE_PERM_IGNORE,
  XS_STATE_TYPE_CONN,
  XS_STATE_TYPE_DOMAIN,
  XS_STATE_TYPE_GLB_QUOTA,
  XS_STATE_TYPE_GLOBAL,
  XS_STATE_TYPE_NODE,
  XS_STATE_TYPE_TA,
  XS_STATE_TYPE_WATCH_EXT,
} from '../../src/abi/xenstore_state.ts';
import { latin1Encode } from '../../src/base/bytes.ts';
import { ProtocolViolation, XenError } from '../../src/base/errors.ts';
import { encodePacket } from '../../src/xenstore/packet.ts';
import { SERVER_FEATURES } from '../../src/xenstored/features.ts';
import { encodeMigrationStream } from '../../src/xenstored/migration-stream-encode.ts';
import { EVERY_INCARNATION } from '../../src/xenstored/permissions.ts';
import { DEFAULT_QUOTAS } from '../../src/xenstored/quota.ts';
import type { ConnectionState, ServerState } from '../../src/xenstored/state.ts';
import {
  comparable,
  decode,
  END,
  handed,
  long,
  node,
  nodeBody,
  padded,
  ROOT,
  record,
  ring,
  ringBody,
  sentBytes,
  stream,
  streamV2,
  text,
  watch,
  word,
} from './stream-bytes.ts';

describe('a stream of another xenstored', () => {
  test('is read whether a length counts the padding or not', () => {
    const plain = decode(stream(ROOT, node('/a', 'v'), END)).state;
    const counted = decode(stream(padded(ROOT), padded(node('/a', 'v')), END)).state;
    expect(comparable(counted)).toEqual(comparable(plain));
  });

  test('of version 2 may give watches a depth, quotas to all and to one, and features', () => {
    const extended = (depth: number, token: string) =>
      record(XS_STATE_TYPE_WATCH_EXT, [
        ...[...long(3), ...word(3), ...word(2), ...word(depth), ...word(0)],
        ...[...text('/a'), ...text(token)],
      ]);
    const bytes = streamV2(
      ring(3, { fields: XS_STATE_CONN_FIELDS_UNIQ_ID }).flatMap((byte, index) =>
        index === 4 ? [byte + 8] : [byte],
      ),
      [1, 2, 3, 4, 5, 6, 7, 8],
      extended(1, 'x'),
      extended(0xffff, 'y'),
      record(XS_STATE_TYPE_GLB_QUOTA, [
        ...[...word(2), ...word(1), ...long(77), ...long(0), ...long(5)],
        ...[...text('nodes'), ...text('soft-memory'), ...text('of-another-kind')],
      ]),
      record(XS_STATE_TYPE_DOMAIN, [
        ...[...word(3), ...word(1), ...long(0xff), ...long(9), ...text('watches')],
      ]),
      ROOT,
      END,
    );
    const { state: read } = decode(bytes);
    expect(read.quotas).toEqual({ ...DEFAULT_QUOTAS, nodes: 77, memorySoft: 0 });
    const domain = read.domains.find(({ domid: id }) => id === 3);
    expect(domain).toMatchObject({ features: SERVER_FEATURES, ownQuotas: { watches: 9 } });
    expect(read.connections[0]?.watches).toMatchObject([{ depth: 1 }, { depth: undefined }]);
  });

  test('leaves its open transactions with nothing but EAGAIN to end in', () => {
    const { state: read } = decode(
      stream(
        ring(3),
        record(XS_STATE_TYPE_TA, [...long(3), ...long(8)]),
        record(XS_STATE_TYPE_NODE, [...long(3), ...long(8), ...nodeBody('/a').slice(8)]),
        ROOT,
        END,
      ),
    );
    expect(read.connections[0]).toMatchObject({
      lastTransactionId: 8,
      transactions: [{ id: 8, torn: true, requests: undefined }],
    });
    expect([...read.nodes]).toHaveLength(1);
  });

  test('gives a node whose owner is gone to dom0, and rights of the gone to nobody', () => {
    const ignore = XS_STATE_NODE_PERM_IGNORE;
    const list = [...latin1Encode('r'), ignore, 4, 0, ...latin1Encode('w'), ignore, 5, 0];
    const { state: read } = decode(stream(node('/', '', list), END));
    expect([...read.nodes][0]?.permissions).toEqual([
      { access: 'r', domid: 0, incarnation: 1 },
      { access: 'w', domid: 5, incarnation: 0 },
    ]);
  });

  test('may let every domain have a right', () => {
    const list = [...latin1Encode('n'), 0, 0, 0, ...latin1Encode('r'), 0, ...word(DOMID_ANY)];
    const { state: read } = decode(stream(node('/', '', list), END));
    expect([...read.nodes][0]?.permissions[1]?.incarnation).toBe(EVERY_INCARNATION);
  });

  test.each([0, 1, 4, 12, 13, 15, 16, 17, 4096, 4111])(
    'gives the client the last %i bytes of the longest reply that it has in part',
    (rest) => {
      const whole = encodePacket({
        type: XS_READ,
        requestId: 0x01020304,
        transactionId: 5,
        payload: new Uint8Array(4096).fill(9),
      });
      const partial = [...whole.subarray(whole.length - rest)];
      const { state: read } = decode(stream(ring(3, { partial }), ROOT, END));
      expect(sentBytes(read.connections[0]?.output ?? []).flatMap((each) => [...each])).toEqual(
        partial,
      );
    },
  );

  const badOutput = [
    ...encodePacket({ type: 2, requestId: 1, transactionId: 0, payload: latin1Encode('ab') }),
  ];
  test.each([
    ['nothing', new Uint8Array(0), 'the stream has a header', 0],
    ['another name', stream(ROOT, END).fill(0x41, 0, 1), 'ident is "xenstore"', 0],
    ['version 3', stream(ROOT, END).fill(3, 11, 12), 'version is from 1 to 2', 8],
    ['big-endian', stream(ROOT, END).fill(1, 15, 16), 'flags are 0: little-endian', 12],
    ['no end', stream(ROOT), 'the last record is END', 48],
    ['more after the end', stream(ROOT, END, ROOT), 'nothing follows END', 56],
    [
      'an end that is not empty',
      stream(ROOT, [...long(0), ...long(8), ...long(0), ...long(0)]),
      'END is empty',
      48,
    ],
    [
      'a record beyond the end',
      stream([...long(5), ...long(0xffffffff)]),
      'a record ends within the stream',
      16,
    ],
    ['an unknown record', stream(record(9), ROOT, END), 'type is that of a record', 24],
    [
      'a record too long',
      stream(
        record(XS_STATE_TYPE_GLOBAL, [...long(1), ...long(2), ...long(0), ...long(0)]),
        ROOT,
        END,
      ),
      'GLOBAL_DATA: length is that of what it holds',
      32,
    ],
    [
      'a record too short',
      stream(record(XS_STATE_TYPE_GLOBAL, long(1)), ROOT, END),
      'GLOBAL_DATA: struct xs_state_global ends within the record',
      24,
    ],
    [
      'two globals',
      stream(
        ...[1, 2].map(() => record(XS_STATE_TYPE_GLOBAL, [...long(1), ...long(2)])),
        ROOT,
        END,
      ),
      'GLOBAL_DATA is there once',
      40,
    ],
    ['connection 0', stream(ring(0), ROOT, END), 'CONNECTION_DATA: conn-id is not 0', 24],
    [
      'a third kind of connection',
      stream(record(XS_STATE_TYPE_CONN, ringBody(1).fill(2, 4, 5)), ROOT, END),
      'CONNECTION_DATA: conn-type is 0 or 1',
      24,
    ],
    [
      'one connection id for two',
      stream(ring(1), ring(1), ROOT, END),
      'CONNECTION_DATA: conn-id is of one connection',
      56,
    ],
    [
      'two rings of a domain',
      stream(ring(1), ring(2, { domid: 1 }), ROOT, END),
      'CONNECTION_DATA: a domain has one ring',
      56,
    ],
    [
      'a ring of no domain',
      stream(ring(1, { domid: 0x7ff0 }), ROOT, END),
      'CONNECTION_DATA: domid is that of a domain',
      24,
    ],
    [
      'a partial response longer than all',
      stream(record(XS_STATE_TYPE_CONN, ringBody(1).fill(9, 18, 19)), ROOT, END),
      'CONNECTION_DATA: out-resp-len <= out-data-len',
      24,
    ],
    [
      'a partial response that ends no packet',
      stream(ring(1, { partial: new Array(4200).fill(1) }), ROOT, END),
      'CONNECTION_DATA: the partial response is the end of a packet',
      48,
    ],
    [
      'a packet cut off',
      stream(ring(1, { output: badOutput.slice(0, 17) }), ROOT, END),
      'CONNECTION_DATA: out-data is whole packets after the partial response',
      48,
    ],
    [
      'an event that is none',
      stream(ring(1, { output: badOutput.fill(XS_WATCH_EVENT, 0, 1) }), ROOT, END),
      'CONNECTION_DATA: an event is a path and a token',
      48,
    ],
    [
      'a watch of nobody',
      stream(watch(1, '/a', 't'), ROOT, END),
      'conn-id is that of a connection before',
      24,
    ],
    [
      'a watch twice',
      stream(ring(1), watch(1, '/a', 't'), watch(1, '/a', 't'), ROOT, END),
      'a watch is there once',
      80,
    ],
    [
      'a watch for no path',
      stream(ring(1), watch(1, '/a//b', 't'), ROOT, END),
      'a path is one of xenstore',
      56,
    ],
    [
      'a NUL within a path',
      stream(node('/a\0b'), END),
      'NODE_DATA: path has a NUL at its end only',
      44,
    ],
    [
      'a path without its NUL',
      stream(record(XS_STATE_TYPE_NODE, [...nodeBody('/').fill(0, 8, 9)]), END),
      'NODE_DATA: path has a NUL at its end only',
      44,
    ],
    [
      'a depth in version 1',
      stream(record(XS_STATE_TYPE_WATCH_EXT), ROOT, END),
      'WATCH_DATA_EXTENDED is of version 2',
      24,
    ],
    [
      'transaction 0',
      stream(ring(1), record(XS_STATE_TYPE_TA, [...long(1), ...long(0)]), ROOT, END),
      'TRANSACTION_DATA: tx-id is not 0',
      56,
    ],
    [
      'a transaction twice',
      stream(
        ring(1),
        ...[1, 2].map(() => record(XS_STATE_TYPE_TA, [...long(1), ...long(4)])),
        ROOT,
        END,
      ),
      'TRANSACTION_DATA: tx-id is of one transaction',
      72,
    ],
    [
      'a node of no transaction',
      stream(
        ring(1),
        record(XS_STATE_TYPE_NODE, [...long(1), ...long(8), ...nodeBody('/a').slice(8)]),
        ROOT,
        END,
      ),
      'NODE_DATA: tx-id is that of a transaction before',
      56,
    ],
    [
      'a node without permissions',
      stream(node('/', '', []), END),
      'NODE_DATA: a node has an owner',
      24,
    ],
    [
      'a permission of no kind',
      stream(node('/', '', [1, 0, 0, 0]), END),
      'NODE_DATA: perm is one of n r w b',
      40,
    ],
    [
      'a node before its parent',
      stream(ROOT, node('/a/b'), END),
      'NODE_DATA: a node comes after its parent',
      56,
    ],
    ['a node twice', stream(ROOT, ROOT, END), 'NODE_DATA: a node is there once', 56],
    [
      'something else with @',
      stream(node('@other'), END),
      'NODE_DATA: there is something of that name',
      24,
    ],
    ['no root', stream(END), 'the root is among the nodes', 0],
    [
      'quotas without names',
      stream(record(XS_STATE_TYPE_GLB_QUOTA, [...word(1), ...word(0), ...long(5)]), ROOT, END),
      'GLOBAL_QUOTA_DATA: quota-names ends within the record',
      32,
    ],
    [
      'a domain of no kind',
      stream(record(XS_STATE_TYPE_DOMAIN, [...word(0x7ff0), ...word(0), ...long(0)]), ROOT, END),
      'DOMAIN_DATA: domain-id is that of a domain',
      24,
    ],
  ] as const)('with %s is refused by the rule that it breaks', (_, bytes, rule, at) => {
    try {
      decode(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolViolation);
      expect((error as ProtocolViolation).rule).toBe(rule);
      expect((error as Error).message).toContain(`at byte ${at}`);
      return;
    }
    expect.unreachable('it was taken');
  });
});

describe('what a xenstored of Xen 4.17 cannot go on with is not handed to it:', () => {
  const base = () => decode(stream(ring(3), watch(3, '/a', 't'), ROOT, node('/a'), END)).state;

  function refusal(change: (state: ServerState) => ServerState): string {
    try {
      encodeMigrationStream(change(base()), handed);
    } catch (error) {
      expect(error).toBeInstanceOf(XenError);
      return (error as Error).message;
    }
    return '';
  }
  const ofConnection = (change: Partial<ConnectionState>) => (given: ServerState) => ({
    ...given,
    connections: given.connections.map((each) => ({ ...each, ...change })),
  });
  const ofNodes = (incarnation: number) => (given: ServerState) => ({
    ...given,
    nodes: [...given.nodes].map((each) => ({
      ...each,
      permissions: [
        ...(incarnation === EVERY_INCARNATION ? each.permissions : []),
        { access: 'r', domid: 3, incarnation } as const,
      ],
    })),
  });

  test('nothing, of what it wrote itself', () => {
    expect(refusal((given) => given)).toBe('');
  });

  test('the depth of a watch', () => {
    const watches = [{ path: '/a', token: 't', depth: 1, relative: false, number: 1 }];
    expect(refusal(ofConnection({ watches }))).toMatch(/no depth of a watch/);
  });

  test('a right of every domain', () => {
    expect(refusal(ofNodes(EVERY_INCARNATION))).toMatch(/no permission for every domain/);
  });

  test('a node whose owner is gone', () => {
    expect(refusal(ofNodes(99))).toMatch(/the owner of \/, domain 3, is gone/);
  });

  test('two requests of one client', () => {
    const one = encodePacket({
      type: 2,
      requestId: 1,
      transactionId: 0,
      payload: latin1Encode('a'),
    });
    expect(refusal(ofConnection({ input: Uint8Array.from([...one, ...one]) }))).toMatch(
      /domain 3 has sent several requests/,
    );
  });
});
