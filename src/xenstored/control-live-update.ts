/**
 * `xenstore-control live-update`, as its steps come: `-f FILE`, or to a xenstored that is a domain
 * `-b LENGTH` and many `-d LENGTH BYTES`; `-c CMDLINE`, `-s [-t SECONDS] [-F]` and `-a`. The answer is text for the operator; every one but "OK" and "BUSY", after which the tool
 * asks again, says why it does not go on.
 */
import { errorCode, errorMessage, XenError } from '../base/errors.ts';
import { encodeStrings, OK_PAYLOAD } from '../xenstore/packet.ts';
import type { StartOptions } from './live-update.ts';
import { leadingInteger, type Request } from './request.ts';

function refuse(rule: string): never {
  throw new XenError('EINVAL', 'control live-update', rule);
}

function only(args: readonly string[], what: string): string {
  const [argument] = args;
  if (argument === undefined || args.length > 1) refuse(`it takes ${what}`);
  return argument;
}

function startOptions(args: readonly string[]): StartOptions {
  let force = false;
  let timeout_s = 0;
  for (let at = 0; at < args.length; at++) {
    if (args[at] === '-F') {
      force = true;
    } else if (args[at] === '-t' && at + 1 < args.length) {
      timeout_s = Math.max(0, leadingInteger(args[++at] as string));
    } else {
      refuse('-s takes -F and -t with a number of seconds');
    }
  }
  return { force, timeout_ms: timeout_s * 1000 };
}

function lengthOf(text: string): number {
  if (!/^\d{1,9}$/.test(text)) refuse('a length is a decimal number');
  return Number(text);
}

/** The bytes behind `live-update`, `-d` and their length, each of which ends with a 0. */
function pieceOf({ packet }: Request, [length = '']: readonly string[]): Uint8Array {
  const { payload } = packet;
  const start = ['live-update', '-d', length].reduce((at, word) => at + word.length + 1, 0);
  const end = start + lengthOf(length);
  if (end > payload.length) refuse('-d takes a length and so many bytes');
  return payload.subarray(start, end);
}

function step(request: Request, [option, ...args]: readonly string[]): 'answered later' | 'done' {
  const { connection, packet, services } = request;
  const update = services.liveUpdate;
  switch (option) {
    case '-f':
      update.choose(connection, only(args, 'a file'));
      return 'done';
    case '-b':
      update.expectImage(connection, lengthOf(only(args, 'a length')));
      return 'done';
    case '-d':
      update.addToImage(connection, pieceOf(request, args));
      return 'done';
    case '-c':
      update.setCommandLine(connection, only(args, 'a command line'));
      return 'done';
    case '-s':
      update.start(connection, packet, startOptions(args));
      return 'answered later';
    case '-a':
      if (args.length > 0) refuse('-a takes nothing');
      update.abort();
      return 'done';
    default:
      return refuse('a step is one of -f -b -d -c -s -a');
  }
}

/** Throws EINVAL for what is no step; every other failure is told in words. */
export function liveUpdate(request: Request, args: readonly string[]): Uint8Array | undefined {
  try {
    return step(request, args) === 'done' ? OK_PAYLOAD : undefined;
  } catch (error) {
    if (!(error instanceof XenError) || error.operation === 'control live-update') throw error;
    if (errorCode(error) === 'EBUSY' && args[0] === '-s') return encodeStrings('BUSY');
    return encodeStrings(errorMessage(error));
  }
}
