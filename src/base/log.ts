/** What services say to the operator. The Node side prints it; tests read it back. */

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** A log that adds `fields` to every line. */
  child(fields: LogFields): Log;
}

export type LogSink = (level: LogLevel, message: string, fields: LogFields) => void;

/** A log that hands every line to one function: how the simulator and the tests listen. */
export function logTo(sink: LogSink, bound: LogFields = {}): Log {
  const at = (level: LogLevel) => (message: string, fields?: LogFields) =>
    sink(level, message, fields === undefined ? bound : { ...bound, ...fields });
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: (fields) => logTo(sink, { ...bound, ...fields }),
  };
}

/** For callers that want no log at all. */
export const silentLog: Log = logTo(() => {});
