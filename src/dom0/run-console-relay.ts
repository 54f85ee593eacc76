/** `paravane run console-relay`. */
import { addConsoleOptions, consoleHostSettings } from './console-options.ts';
import type { Service } from './run-command.ts';

export const consoleRelayService: Service = {
  name: 'console-relay',
  summary: 'give a console domain its terminals, logs and viewers',

  addOptions(command) {
    command.option('--domain <domain>', 'the console domain, its name or its domid', 'xenconsoled');
    addConsoleOptions(command, '/run/paravane/console-relay').addHelpText(
      'after',
      `
The other half of the console daemon as a domain of its own, in the place of xenconsoled: that domain serves
the guests' rings, and what only dom0 has comes from here. It may end and be started again at any time, as
the domain may. New guests have their consoles in the domain from then on that both are there. The domain's
own console is served here, and so are those of guests that were there before.

Examples:
  paravane build xenconsoled -o xenconsoled.elf >xenconsoled.cfg
  paravane run console-relay --log all --daemon
  paravane run driver-domain --config xenconsoled.cfg --daemon
  xl console GUEST
`,
    );
  },

  async start(options, log) {
    const { openConsoleRelay } = await import('../../stubdoms/xenconsoled/relay.ts');
    return openConsoleRelay({ ...consoleHostSettings(options), domain: options.domain }, log);
  },
};
