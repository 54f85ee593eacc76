/** Arbitrary states of a xenstored, all of which a migration stream can hold. */
import fc from 'fast-check';
import { XS_READ, XS_WATCH_EVENT } from '../../src/abi/io/xs_wire.ts';
import { latin1Encode } from '../../src/base/bytes.ts';
import { encodePacket, encodeStrings, HEADER_SIZE } from '../../src/xenstore/packet.ts';
import { DEFAULT_QUOTAS } from '../../src/xenstored/quota.ts';
import type { ConnectionState, ServerState } from '../../src/xenstored/state.ts';
import { valueFrom } from '../../src/xenstored/value.ts';

const domid = fc.integer({ min: 1, max: 5 });
const access = fc.constantFrom('n', 'r', 'w', 'b') as fc.Arbitrary<'n' | 'r' | 'w' | 'b'>;
const byteText = (lengthMax: number) =>
  fc
    .uint8Array({ maxLength: lengthMax })
    .map((bytes) => String.fromCharCode(...bytes.map((byte) => byte || 1)));
const payload = fc.uint8Array({ maxLength: 60 });
const packet = fc.oneof(
  fc.record({
    type: fc.constant(XS_READ),
    requestId: fc.nat(),
    transactionId: fc.nat(9),
    payload,
  }),
  fc.tuple(byteText(9), byteText(9)).map(([path, token]) => ({
    type: XS_WATCH_EVENT,
    requestId: 0,
    transactionId: 0,
    payload: encodeStrings(path, token),
  })),
);
const output = fc
  .tuple(fc.array(packet, { maxLength: 4 }), fc.nat(HEADER_SIZE + 60))
  .map(([packets, sent]) =>
    packets.map((each, index) => ({
      packet: each,
      sent: index === 0 && sent < HEADER_SIZE + each.payload.length ? sent : 0,
      charge: undefined,
    })),
  );
const watchPath = fc.constantFrom('/a', '/a/b', '@releaseDomain', '@x', '/local/domain/1/r');

/** Children of `/` and of one another, parents first. */
const nodePaths = fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 0 }).map((names) => {
  const deep = names.flatMap((name) => [`/${name}`, `/${name}/x`, `/${name}/y`]);
  return ['/', ...deep];
});

export const serverState: fc.Arbitrary<ServerState> = fc
  .record({
    introduced: fc.uniqueArray(domid),
    paths: nodePaths,
    values: fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 10, maxLength: 10 }),
    accesses: fc.array(fc.tuple(access, domid), { minLength: 20, maxLength: 20 }),
    sockets: fc.uniqueArray(fc.integer({ min: 10, max: 20 })),
    outputs: fc.array(output, { minLength: 20, maxLength: 20 }),
    inputs: fc.array(fc.nat(30), { minLength: 20, maxLength: 20 }),
    watched: fc.uniqueArray(fc.tuple(fc.nat(9), watchPath, byteText(5)), {
      maxLength: 12,
      selector: (each) => each.join(' '),
    }),
    target: fc.option(domid, { nil: undefined }),
  })
  .map((made) => {
    const incarnations = new Map([0, ...made.introduced].map((id, index) => [id, index + 1]));
    const request = encodePacket({
      type: XS_READ,
      requestId: 1,
      transactionId: 0,
      payload: latin1Encode('/local/domain\0'),
    });
    const connection = (index: number): Omit<ConnectionState, 'carrier'> => ({
      input: request.slice(0, made.inputs[index]),
      output: made.outputs[index] ?? [],
      watches: [],
      lastTransactionId: 0,
      transactions: [],
    });
    const position = { consumed: undefined, produced: undefined };
    const rings = [0, ...made.introduced].sort((a, b) => a - b);
    const connections: ConnectionState[] = [
      ...rings.map((id, index) => ({
        ...connection(index),
        carrier: { kind: 'ring', domid: id, ignored: false, ...position } as const,
      })),
      ...made.sockets.map((fd, index) => ({
        ...connection(rings.length + index),
        carrier: {
          kind: 'socket',
          fd,
          name: `socket ${rings.length + index + 1}`,
          unsent: new Uint8Array(0),
        } as const,
      })),
    ];
    let number = 0;
    const watched = connections.map((each, index) => ({
      ...each,
      watches: made.watched
        .filter(([at]) => at === index)
        .map(([, path, token]) => ({ path, token, depth: undefined, relative: false }))
        .map((each) => ({ ...each, number: ++number })),
    }));
    const permissions = (index: number) => {
      const entries = [0, 7].map((more) => made.accesses[index + more] ?? (['n', 1] as const));
      return entries.map(([letter, named], at) => {
        const known = incarnations.get(named);
        if (at === 0 && known === undefined) return { access: letter, domid: 0, incarnation: 1 };
        return { access: letter, domid: named, incarnation: known ?? 0 };
      });
    };
    const nodes = made.paths.map((path, index) => ({
      path,
      value: valueFrom(made.values[index] ?? new Uint8Array(0), 0),
      permissions: permissions(index),
      generation: index + 1,
      birth: index + 1,
    }));
    return {
      generation: nodes.length,
      lastIncarnation: incarnations.size,
      quotas: DEFAULT_QUOTAS,
      specialPermissions: new Map([
        ['@introduceDomain', permissions(10)],
        ['@releaseDomain', permissions(11)],
      ]),
      domains: [...incarnations].map(([id, incarnation]) => ({
        domid: id,
        incarnation,
        features: 0,
        ownQuotas: {},
        shutdown: false,
        target:
          id !== 0 && made.target !== undefined && incarnations.has(made.target)
            ? made.target
            : undefined,
        ring: { remotePort: id === 0 ? undefined : 1000 + id },
      })),
      nodes,
      connections: watched,
    } satisfies ServerState;
  });
