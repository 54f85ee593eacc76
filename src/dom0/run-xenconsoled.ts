/** `paravane run xenconsoled`, with the options of the C xenconsoled of Xen 4.17. */
import { Option } from 'commander';
import type { Service } from './run-command.ts';

const CHOICES = ['none', 'guest', 'hv', 'all'];

export const xenconsoledService: Service = {
  name: 'xenconsoled',
  summary: 'serve the console of every guest, on a pty and in a log',

  addOptions(command) {
    command
      .option('--socket <file>', "xenstored's socket, instead of the usual one")
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
      .addHelpText(
        'after',
        `
Examples:
  paravane run xenconsoled --daemon --log all --pid-file /run/xenconsoled.pid
  xl console GUEST        (leave it with Ctrl-])
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
        xenstoreSocket: options.socket,
      },
      log,
    );
  },
};
