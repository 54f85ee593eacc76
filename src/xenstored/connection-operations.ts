/** The requests about watches and transactions: what a connection has of its own. */
import { XENSTORE_REL_PATH_MAX, XENSTORE_SERVER_FEATURE_WATCHDEPTH } from '../abi/io/xs_wire.ts';
import { XenError } from '../base/errors.ts';
import { encodeStrings, OK_PAYLOAD } from '../xenstore/packet.ts';
import { isAbsolutePath, isSpecialPath } from '../xenstore/path.ts';
import { commitTransaction } from './replay.ts';
import { leadingInteger, type Request } from './request.ts';
import { TRANSACTION_COST } from './transaction.ts';
import { pathSeenBy } from './watch.ts';

function refuse(rule: string): never {
  throw new XenError('EINVAL', 'read a watch', rule);
}

/** A path and a token, exactly, and where the client has been offered that, a depth. Throws EINVAL. */
function watchAsked(request: Request): { path: string; token: string; depth: number | undefined } {
  const [path = '', token = '', depthText, ...others] = request.strings(2);
  const takesDepth = (request.connection.features & XENSTORE_SERVER_FEATURE_WATCHDEPTH) !== 0;
  if (others.length > 0 || (depthText !== undefined && !takesDepth)) {
    refuse(`it is a path and a token${takesDepth ? ', or these and a depth' : ''}`);
  }
  const depth = depthText === undefined ? undefined : leadingInteger(depthText);
  if (depth !== undefined && depth < 0) refuse('a depth is not negative');
  return { path, token, depth };
}

/** Happenings may be called anything; those that never happen do no harm. */
function watchedPath(request: Request, path: string): string {
  if (!isSpecialPath(path)) return request.nodes().resolve(path);
  if (path.length > XENSTORE_REL_PATH_MAX) {
    throw new XenError('EINVAL', 'watch', `a name has at most ${XENSTORE_REL_PATH_MAX} bytes`);
  }
  return path;
}

export function watch(request: Request): Uint8Array {
  const { connection } = request;
  const { path, token, depth } = watchAsked(request);
  const absolute = watchedPath(request, path);
  if (connection.findWatch(absolute, token) !== undefined) {
    throw new XenError('EEXIST', `watch ${path}`, 'with the same token');
  }
  const { account, home } = connection.domain;
  if (account.watches > account.limit('watches')) {
    throw account.denied('E2BIG', 'watches', 'a watch');
  }
  if (account.memoryExceededBy(absolute.length + token.length)) {
    throw account.denied('ENOMEM', 'memoryHard', 'memory for a watch');
  }
  const relative = !isAbsolutePath(path) && !isSpecialPath(path);
  const added = { watcher: connection, path: absolute, token, depth, home: relative ? home : '' };
  connection.addWatch(added);
  request.afterReply = () => connection.deliver(pathSeenBy(added, absolute), token, undefined);
  return OK_PAYLOAD;
}

export function unwatch(request: Request): Uint8Array {
  const { connection } = request;
  const strings = request.strings(2);
  const [path, token] = strings as [string, string];
  if (strings.length > 2) refuse('what is not watched any more is a path and a token');
  const relative = !isAbsolutePath(path) && !isSpecialPath(path);
  const absolute = relative ? `${connection.domain.home}/${path}` : path;
  const found = connection.findWatch(absolute, token);
  if (found === undefined) throw new XenError('ENOENT', `unwatch ${path}`);
  connection.removeWatch(found);
  return OK_PAYLOAD;
}

export function resetWatches(request: Request): Uint8Array {
  request.connection.reset();
  return OK_PAYLOAD;
}

export function startTransaction(request: Request): Uint8Array {
  const { connection, transaction } = request;
  if (transaction !== undefined) {
    throw new XenError('EBUSY', 'start a transaction', 'there are none within another');
  }
  const { account } = connection.domain;
  if (connection.transactions.size > account.limit('transactions')) {
    throw account.denied('ENOSPC', 'transactions', 'a transaction');
  }
  if (account.memoryExceededBy(TRANSACTION_COST)) {
    throw account.denied('ENOMEM', 'memoryHard', 'memory for a transaction');
  }
  const { id } = connection.startTransaction();
  account.peaks.note('transactions', connection.transactions.size);
  return encodeStrings(String(id));
}

export function endTransaction(request: Request): Uint8Array {
  const { connection, transaction } = request;
  const verdict = request.onlyString();
  if (verdict !== 'T' && verdict !== 'F') {
    throw new XenError('EINVAL', 'end a transaction', 'it is "T" or "F"');
  }
  if (transaction === undefined) throw new XenError('ENOENT', 'end a transaction', 'none is meant');
  try {
    if (verdict === 'T') commitTransaction(request, transaction);
  } finally {
    connection.endTransaction(transaction);
  }
  return OK_PAYLOAD;
}
