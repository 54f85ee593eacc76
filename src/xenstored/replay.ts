/** The end of a transaction: as it is, or as its requests come out when they are run again now. */
import { errorCode, XenError } from '../base/errors.ts';
import type { Packet } from '../xenstore/packet.ts';
import type { Connection } from './connection.ts';
import { NODE_OPERATIONS } from './node-operations.ts';
import { type RecordedRequest, type Reply, sameReply } from './reply.ts';
import { errorReply, Request, type Services } from './request.ts';
import { Transaction } from './transaction.ts';

/**
 * Makes the changes of a transaction those of the store. One that only read has nothing to make,
 * and all that it was told was true together. One whose nodes are as it found them can be taken
 * over. Any other is run again on the tree as it is now: if every reply is the same, its client
 * cannot tell the difference.
 *
 * Throws EAGAIN where a reply would differ, and as `Transaction.commit` does.
 */
export function commitTransaction(request: Request, transaction: Transaction): void {
  const { activity } = request.connection.domain;
  if (transaction.doomed) {
    activity.conflicted++;
    throw changedMeanwhile('xenstored was started again');
  }
  transaction.checkFit();
  if (transaction.onlyRead || !transaction.hasConflict()) {
    if (!transaction.onlyRead) transaction.commit(request.charge);
    activity.committed++;
    return;
  }
  try {
    replay(request, transaction);
    activity.replayed++;
  } catch (error) {
    if (errorCode(error) === 'EAGAIN') activity.conflicted++;
    throw error;
  }
}

function replay(request: Request, transaction: Transaction): void {
  const { requests } = transaction;
  transaction.forgetNodes();
  if (requests === undefined) throw changedMeanwhile('it is too long to be run again');
  const again = new Transaction(transaction.id, request.store, request.connection);
  try {
    for (const recorded of requests) runAgain(request, again, recorded);
    again.checkFit();
    again.commit(request.charge);
  } finally {
    again.close();
  }
}

/**
 * Runs requests again in a doomed transaction, so that its client, which does not know yet that it
 * ends in vain, finds its own changes in it.
 */
export function repeatRequests(
  connection: Connection,
  services: Services,
  transaction: Transaction,
  packets: readonly Packet[],
): void {
  for (const packet of packets) {
    const request = new Request(connection, services, packet, transaction, undefined);
    transaction.record(packet, replyOf(request, packet.type));
  }
}

/** Made once: it is what every transaction in conflict ends with, and its code is all that is told. */
const REPLY_DIFFERS = changedMeanwhile('a reply would be another one now');

function changedMeanwhile(detail: string): XenError {
  return new XenError('EAGAIN', 'end transaction', detail);
}

function runAgain(
  end: Request,
  transaction: Transaction,
  { packet, reply }: RecordedRequest,
): void {
  const { connection, services } = end;
  const request = new Request(connection, services, packet, transaction, undefined);
  if (!sameReply(replyOf(request, packet.type), reply)) throw REPLY_DIFFERS;
}

function replyOf(request: Request, type: number): Reply {
  const { connection, services } = request;
  const run = NODE_OPERATIONS.get(type);
  if (run === undefined) throw new TypeError(`request ${type} is not about nodes`);
  try {
    return { type, payload: run(request) };
  } catch (error) {
    return errorReply(error, connection, services);
  }
}
