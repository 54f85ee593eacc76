/** The operator's log, on stderr: lines for people, or JSON for machines. */
import { type DestinationStream, destination as openDestination, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { Log, LogFields, LogLevel } from '../base/log.ts';

export interface NodeLogOptions {
  /** The least that is said. */
  readonly level: LogLevel;
  /** `text` for people, `json` for one object a line. */
  readonly format: 'text' | 'json';
  /** Where lines go instead of to stderr. */
  readonly destination?: DestinationStream;
  /** The file that they are added to instead. */
  readonly file?: string | undefined;
}

function sink(options: NodeLogOptions): DestinationStream {
  // Synchronous, so that the last words of a service that dies are not lost.
  const where = options.file === undefined ? { fd: 2 } : { dest: options.file };
  const target = options.destination ?? openDestination({ ...where, sync: true });
  if (options.format === 'json') return target;
  const prettify = prettyFactory({
    colorize: target !== options.destination && options.file === undefined && isTerminal(),
    translateTime: 'SYS:yyyy-mm-dd HH:MM:ss.l',
    ignore: 'pid,hostname',
    singleLine: true,
  });
  return { write: (line) => target.write(prettify(line)) };
}

const isTerminal = () => process.stderr.isTTY === true;

/** Pino takes the fields first; ours come second and may be left out. */
function logOver(logger: pino.Logger): Log {
  const at = (level: LogLevel) => (message: string, fields?: LogFields) => {
    if (fields === undefined) logger[level](message);
    else logger[level](fields, message);
  };
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: (fields) => logOver(logger.child(fields)),
  };
}

export function nodeLog(options: NodeLogOptions): Log {
  return logOver(pino({ level: options.level, base: null }, sink(options)));
}
