/** What the toolstack wrote of a console below `/local/domain/<domid>/console`. */
import { XenError } from '../base/errors.ts';
import { EVENT_PORT_MAX, type EventPort, eventPort } from '../base/ids.ts';
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
 * The keys of a console, or `undefined` when it has none yet or is not ours to serve. Throws
 * `XenError` EINVAL when a value can't be understood.
 */
export async function readConsoleKeys(
  xenstore: Xenstore,
  consolePath: string,
): Promise<ConsoleKeys | undefined> {
  const read = (name: string) => xenstore.readIfPresent(childPath(consolePath, name));
  const [ringRef, port, type, limit] = await Promise.all(
    ['ring-ref', 'port', 'type', 'limit'].map(read),
  );
  if (ringRef === undefined || port === undefined) return undefined;
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
