/** `paravane run xenconsoled`, with the options of the C xenconsoled of Xen 4.17. */
import { Option } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { VIEWER_SOCKET } from './console-socket.ts';
import { byteCount, timeSpan, wholeNumber } from './option-values.ts';
import type { Service } from './run-command.ts';

const CHOICES = ['none', 'guest', 'hv', 'all'];

export const xenconsoledService: Service = {
  name: 'xenconsoled',
  summary: 'serve the console of every guest, on a pty and in a log',

  addOptions(command) {
    command
      .version(packageJson.version, '-V, --version', 'print the version')
      .option('--socket <file>', "xenstored's socket or device, instead of the usual one")
      .option('-i, --interactive', 'stay in the foreground, which is what it does without --daemon')
      .addOption(
        new Option('--log <which>', 'whose output is logged').choices(CHOICES).default('none'),
      )
      .option('--log-dir <directory>', 'where the logs are', '/var/log/xen/console')
      .addOption(
        new Option('-t, --timestamp <which>', 'in whose logs lines begin with the time')
          .choices(CHOICES)
          .default('none'),
      )
      .addOption(
        new Option('-o, --overflow-data <what>', 'output beyond the limit that nobody reads')
          .choices(['discard', 'keep'])
          .default('discard'),
      )
      .option('--replace-escape', 'in the logs, ESC becomes a dot')
      .option('-v, --verbose', 'log all that happens')
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
      .option(
        '--state-dir <directory>',
        'where notes for the next daemon are',
        '/run/paravane/xenconsoled',
      )
      .addHelpText(
        'after',
        `
Examples:
  paravane run xenconsoled --daemon --log all --pid-file /run/xenconsoled.pid
  paravane run xenconsoled --log guest --rotate-size 10M --rotate-keep 3 --rotate-compress
  xl console GUEST        (leave it with Ctrl-])
  paravane console GUEST  (several at once, with what was printed before)
`,
      );
  },

  async start(options, log) {
    const { openXenconsoled } = await import('../../stubdoms/xenconsoled/dom0.ts');
    return openXenconsoled(
      {
        logDirectory: options.logDir,
        log: options.log,
        timestamp: options.timestamp,
        logFormat: options.consoleLogFormat,
        replaceEscape: options.replaceEscape === true,
        overflow: options.overflowData,
        rotation: {
          size_bytes: options.rotateSize,
          age_ms: options.rotateAge,
          keep: options.rotateKeep,
          compress: options.rotateCompress === true,
        },
        stateDirectory: options.stateDir,
        viewerSocket: options.viewerSocket,
        xenstoreSocket: options.socket,
      },
      log,
    );
  },
};
