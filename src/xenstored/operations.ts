/** The requests of the protocol, and who may send them: docs/misc/xenstore.txt. */
import {
  XS_CONTROL,
  XS_DIRECTORY,
  XS_DIRECTORY_PART,
  XS_ERROR,
  XS_GET_DOMAIN_PATH,
  XS_GET_PERMS,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_MKDIR,
  XS_READ,
  XS_RELEASE,
  XS_RESET_WATCHES,
  XS_RESUME,
  XS_RM,
  XS_SET_PERMS,
  XS_SET_TARGET,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_UNWATCH,
  XS_WATCH,
  XS_WRITE,
} from '../abi/io/xs_wire.ts';
import { errorMessage, XenError } from '../base/errors.ts';
import { encodeError, operationName, type Packet } from '../xenstore/packet.ts';
import type { Charge } from './charge.ts';
import type { Connection } from './connection.ts';
import * as own from './connection-operations.ts';
import { control } from './control.ts';
import * as domains from './domain-operations.ts';
import * as nodes from './node-operations.ts';
import { Request, type Services } from './request.ts';
import type { Transaction } from './transaction.ts';

interface Operation {
  /** Throws `XenError` with the code to be answered. */
  readonly run: (request: Request) => Uint8Array;
  /** Only for dom0, the domain named by `--priv-domid`, and sockets. */
  readonly privileged?: true;
  /** The transaction in the header has no meaning. */
  readonly ignoresTransaction?: true;
}

const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [XS_CONTROL, { run: control, privileged: true }],
  [XS_DIRECTORY, { run: nodes.directory }],
  [XS_READ, { run: nodes.read }],
  [XS_GET_PERMS, { run: nodes.getPermissions }],
  [XS_WATCH, { run: own.watch, ignoresTransaction: true }],
  [XS_UNWATCH, { run: own.unwatch, ignoresTransaction: true }],
  [XS_TRANSACTION_START, { run: own.startTransaction }],
  [XS_TRANSACTION_END, { run: own.endTransaction }],
  [XS_INTRODUCE, { run: domains.introduce, privileged: true }],
  [XS_RELEASE, { run: domains.release, privileged: true }],
  [XS_GET_DOMAIN_PATH, { run: domains.getDomainPath }],
  [XS_WRITE, { run: nodes.write }],
  [XS_MKDIR, { run: nodes.mkdir }],
  [XS_RM, { run: nodes.remove }],
  [XS_SET_PERMS, { run: nodes.setPermissions }],
  [XS_IS_DOMAIN_INTRODUCED, { run: domains.isDomainIntroduced, privileged: true }],
  [XS_RESUME, { run: domains.resume, privileged: true }],
  [XS_SET_TARGET, { run: domains.setTarget, privileged: true }],
  [XS_RESET_WATCHES, { run: own.resetWatches }],
  [XS_DIRECTORY_PART, { run: nodes.directoryPart }],
]);

function transactionOf(connection: Connection, packet: Packet): Transaction | undefined {
  if (packet.transactionId === 0) return undefined;
  const transaction = connection.transactions.get(packet.transactionId);
  if (transaction === undefined) {
    throw new XenError('ENOENT', `use transaction ${packet.transactionId}`);
  }
  return transaction;
}

/** What is wrong with a request is told to whoever sent it; what is wrong with us, to the operator too. */
function codeOf(error: unknown, services: Services, connection: Connection) {
  if (error instanceof XenError) return error.code;
  services.log.error(`a request of ${connection.name} failed: ${errorMessage(error)}`);
  return 'EIO';
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
  let type = packet.type;
  let payload: Uint8Array;
  let afterReply = () => {};
  try {
    const { request, operation } = prepare(connection, services, packet, charge);
    payload = operation.run(request);
    afterReply = request.afterReply;
  } catch (error) {
    type = XS_ERROR;
    payload = encodeError(codeOf(error, services, connection));
  }
  connection.reply(packet, type, payload, charge);
  afterReply();
}
