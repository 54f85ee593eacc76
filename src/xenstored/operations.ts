/** The requests of the protocol, and who may send them: docs/misc/xenstore.txt. */
import {
  XS_CONTROL,
  XS_ERROR,
  XS_GET_DOMAIN_PATH,
  XS_GET_FEATURE,
  XS_GET_QUOTA,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_RELEASE,
  XS_RESET_WATCHES,
  XS_RESUME,
  XS_SET_FEATURE,
  XS_SET_QUOTA,
  XS_SET_TARGET,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_UNWATCH,
  XS_WATCH,
} from '../abi/io/xs_wire.ts';
import { XenError } from '../base/errors.ts';
import { operationName, type Packet } from '../xenstore/packet.ts';
import { UNKNOWN_REQUEST } from './activity.ts';
import type { Charge } from './charge.ts';
import type { Connection } from './connection.ts';
import * as own from './connection-operations.ts';
import { control } from './control.ts';
import * as domains from './domain-operations.ts';
import * as features from './feature-operations.ts';
import { changesNodes } from './journal/entries.ts';
import { NODE_OPERATIONS } from './node-operations.ts';
import type { Reply } from './reply.ts';
import { errorReply, Request, type Services } from './request.ts';
import type { Transaction } from './transaction.ts';

interface Operation {
  /** Throws `XenError` with the code to be answered. `undefined` when the reply comes later. */
  readonly run: (request: Request) => Uint8Array | undefined;
  /** Only for dom0, the domain named by `--priv-domid`, and sockets. */
  readonly privileged?: true;
  /** It may change a limit, or something of a domain besides its nodes. */
  readonly changesSettings?: true;
  /** The transaction in the header has no meaning. */
  readonly ignoresTransaction?: true;
}

const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  ...[...NODE_OPERATIONS].map(([type, run]) => [type, { run }] as const),
  [XS_CONTROL, { run: control, privileged: true, changesSettings: true }],
  [XS_WATCH, { run: own.watch, ignoresTransaction: true }],
  [XS_UNWATCH, { run: own.unwatch, ignoresTransaction: true }],
  [XS_TRANSACTION_START, { run: own.startTransaction }],
  [XS_TRANSACTION_END, { run: own.endTransaction }],
  [XS_INTRODUCE, { run: domains.introduce, privileged: true, changesSettings: true }],
  [XS_RELEASE, { run: domains.release, privileged: true, changesSettings: true }],
  [XS_GET_DOMAIN_PATH, { run: domains.getDomainPath }],
  [XS_IS_DOMAIN_INTRODUCED, { run: domains.isDomainIntroduced, privileged: true }],
  [XS_RESUME, { run: domains.resume, privileged: true, changesSettings: true }],
  [XS_SET_TARGET, { run: domains.setTarget, privileged: true, changesSettings: true }],
  [XS_RESET_WATCHES, { run: own.resetWatches }],
  [XS_GET_FEATURE, { run: features.getFeature }],
  [XS_SET_FEATURE, { run: features.setFeature, privileged: true, changesSettings: true }],
  [XS_GET_QUOTA, { run: features.getQuota, privileged: true }],
  [XS_SET_QUOTA, { run: features.setQuota, privileged: true, changesSettings: true }],
]);

function transactionOf(connection: Connection, packet: Packet): Transaction | undefined {
  if (packet.transactionId === 0) return undefined;
  const transaction = connection.transactions.get(packet.transactionId);
  if (transaction === undefined) {
    throw new XenError('ENOENT', `use transaction ${packet.transactionId}`);
  }
  return transaction;
}

function prepare(
  connection: Connection,
  services: Services,
  packet: Packet,
  charge: Charge | undefined,
): { request: Request; operation: Operation } {
  const operation = OPERATIONS.get(packet.type);
  if (operation === undefined) throw new XenError('ENOSYS', operationName(packet.type));
  if (operation.privileged && !connection.privileged) {
    throw new XenError('EACCES', operationName(packet.type), 'it is for privileged clients');
  }
  if (operation.changesSettings) services.store.settingsChanged();
  const ignores = operation.ignoresTransaction === true;
  const transaction = ignores ? undefined : transactionOf(connection, packet);
  return { operation, request: new Request(connection, services, packet, transaction, charge) };
}

/** Does what a client asks for and queues the reply. */
export function answer(
  connection: Connection,
  services: Services,
  packet: Packet,
  charge: Charge | undefined,
): void {
  services.trace.packet('IN', connection.name, packet.type, packet.payload);
  const known = OPERATIONS.has(packet.type);
  connection.domain.activity.countRequest(known ? packet.type : UNKNOWN_REQUEST, packet);
  let request: Request | undefined;
  let reply: Reply;
  try {
    const prepared = prepare(connection, services, packet, charge);
    request = prepared.request;
    const payload = prepared.operation.run(request);
    if (payload === undefined) return;
    reply = { type: packet.type, payload };
  } catch (error) {
    reply = errorReply(error, connection, services);
  }
  if (request?.aboutNodes) request.transaction?.record(packet, reply);
  if (
    request?.aboutNodes &&
    request.transaction !== undefined &&
    changesNodes(packet, reply.type)
  ) {
    connection.journal?.transactionChanged(request.transaction.id, packet);
  }
  connection.reply(packet, reply.type, reply.payload, charge);
  if (reply.type !== XS_ERROR) request?.afterReply();
}
