/** The options of whoever keeps terminals, logs and viewers of consoles in dom0. */
import { type Command, Option, type OptionValues } from 'commander';
import type { ConsoleHostSettings } from '../../stubdoms/xenconsoled/dom0-parts.ts';
import { VIEWER_SOCKET } from './console-socket.ts';
import { byteCount, timeSpan, wholeNumber } from './option-values.ts';

const CHOICES = ['none', 'guest', 'hv', 'all'];

/** @param stateDirectory where notes for the next process are, unless told otherwise */
export function addConsoleOptions(command: Command, stateDirectory: string): Command {
  return command
    .option('--socket <file>', "xenstored's socket or device, instead of the usual one")
    .addOption(
      new Option('--log <which>', 'whose output is logged').choices(CHOICES).default('none'),
    )
    .option('--log-dir <directory>', 'where the logs are', '/var/log/xen/console')
    .addOption(
      new Option('-t, --timestamp <which>', 'in whose logs lines begin with the time')
        .choices(CHOICES)
        .default('none'),
    )
    .option('--replace-escape', 'in the logs, ESC becomes a dot')
    .addOption(
      new Option('--console-log-format <format>', 'text as it is, or JSON, one object a line')
        .choices(['text', 'json'])
        .default('text'),
    )
    .option('--rotate-size <bytes>', 'put a log aside that has grown so large: 10M', byteCount, 0)
    .option('--rotate-age <time>', 'put a log aside that is so old: 12h, 7d', timeSpan, 0)
    .option('--rotate-keep <number>', 'old logs to keep of each', wholeNumber(1), 5)
    .option('--rotate-compress', 'compress old logs with gzip')
    .option('--viewer-socket <file>', 'where `paravane console` connects to', VIEWER_SOCKET)
    .option('--state-dir <directory>', 'where notes for the next daemon are', stateDirectory);
}

/** What the options say. */
export function consoleHostSettings(options: OptionValues): ConsoleHostSettings {
  return {
    logDirectory: options.logDir,
    log: options.log,
    timestamp: options.timestamp,
    logFormat: options.consoleLogFormat,
    replaceEscape: options.replaceEscape === true,
    rotation: {
      size_bytes: options.rotateSize,
      age_ms: options.rotateAge,
      keep: options.rotateKeep,
      compress: options.rotateCompress === true,
    },
    stateDirectory: options.stateDir,
    viewerSocket: options.viewerSocket,
    xenstoreSocket: options.socket,
  };
}
