/** What the toolstack wrote of a console below `/local/domain/<domid>/console`. */
import { errorCode, XenError } from '../base/errors.ts';
import { type DomId, EVENT_PORT_MAX, type EventPort, eventPort } from '../base/ids.ts';
import { CONSOLE_OUTPUT_SIZE } from '../console/console-stream.ts';
import { childPath } from '../xenstore/path.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';

export interface ConsoleKeys {
  /** Whatever the key is called, this is the frame number of the console page; its grant is always number 0. */
  readonly ringGfn: number;
  readonly port: EventPort;
  /** Bytes of output to keep for a viewer. */
  readonly limit: number;
}

/** What libxl writes, for toolstacks that write none. */
export const OUTPUT_LIMIT_DEFAULT = 1 << 20;
/** A console costs no more memory than this, whatever its `limit` says. */
export const OUTPUT_LIMIT_MAX = 1 << 24;

/** What `limit` allows: never less than one read of the ring gives, and 0 stands for no limit. */
export function outputLimit(limit: number): number {
  if (limit === 0) return OUTPUT_LIMIT_MAX;
  return Math.min(Math.max(limit, CONSOLE_OUTPUT_SIZE), OUTPUT_LIMIT_MAX);
}

/** `type` of the consoles that are ours; others are an emulator's. */
export const OWN_TYPE = 'xenconsoled';

function parseNumber(path: string, value: string, max: number): number {
  const number = /^[0-9]{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (number <= max) return number;
  throw new XenError('EINVAL', `read ${path}`, `must be an integer from 0 to ${max}`);
}

/**
 * The value of a key, or `undefined` when there is none. Of a guest that is gone xenstored says only
 * that it is not for us, unless we may see all there is.
 */
export async function readConsoleKey(
  xenstore: Xenstore,
  path: string,
): Promise<string | undefined> {
  try {
    return await xenstore.readIfPresent(path);
  } catch (error) {
    if (errorCode(error) === 'EACCES') return undefined;
    throw error;
  }
}

/**
 * The keys of a console, or `undefined` when it has none yet or is not ours to serve. Throws
 * `XenError` EINVAL when a value can't be understood.
 *
 * @param own the domain that serves it, if the toolstack has given it to that
 */
export async function readConsoleKeys(
  xenstore: Xenstore,
  consolePath: string,
  own: DomId,
): Promise<ConsoleKeys | undefined> {
  const read = (name: string) => readConsoleKey(xenstore, childPath(consolePath, name));
  const [ringRef, port, type, limit, backend] = await Promise.all(
    ['ring-ref', 'port', 'type', 'limit', 'backend-id'].map(read),
  );
  if (ringRef === undefined || port === undefined) return undefined;
  if (backend !== undefined && backend !== String(own)) return undefined;
  if (type !== undefined && type !== OWN_TYPE) return undefined;
  const parse = (name: string, value: string, max: number) =>
    parseNumber(childPath(consolePath, name), value, max);
  return {
    ringGfn: parse('ring-ref', ringRef, Number.MAX_SAFE_INTEGER),
    port: eventPort(parse('port', port, EVENT_PORT_MAX)),
    limit: outputLimit(
      limit === undefined ? OUTPUT_LIMIT_DEFAULT : parse('limit', limit, Number.MAX_SAFE_INTEGER),
    ),
  };
}
