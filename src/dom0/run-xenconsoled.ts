/** `paravane run xenconsoled`, with the options of the C xenconsoled of Xen 4.17. */
import { Option } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { addConsoleOptions, consoleHostSettings } from './console-options.ts';
import type { Service } from './run-command.ts';

export const xenconsoledService: Service = {
  name: 'xenconsoled',
  summary: 'serve the console of every guest, on a pty and in a log',

  addOptions(command) {
    command
      .version(packageJson.version, '-V, --version', 'print the version')
      .option('-i, --interactive', 'stay in the foreground, which is what it does without --daemon')
      .addOption(
        new Option('-o, --overflow-data <what>', 'output beyond the limit that nobody reads')
          .choices(['discard', 'keep'])
          .default('discard'),
      )
      .option('-v, --verbose', 'log all that happens');
    addConsoleOptions(command, '/run/paravane/xenconsoled').addHelpText(
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
    const settings = { ...consoleHostSettings(options), overflow: options.overflowData };
    return openXenconsoled(settings, log);
  },
};
