/** `paravane run store-domain`. */
import { InvalidArgumentError } from 'commander';
import { byteCount, processors, wholeNumber } from './option-values.ts';
import type { Service } from './run-command.ts';

/** A grant for each page of it, of which Xen allows a domain some 32,000 by default. */
const JOURNAL_MIN = 64 << 10;
const JOURNAL_MAX = 120 << 20;

/** What the page tables of the stub domains' kernel cover: it would leave more alone. */
const MEMORY_MAX_MIB = 1024;

function memorySize(argument: string): number {
  const mib = wholeNumber(1)(argument);
  if (mib <= MEMORY_MAX_MIB) return mib;
  throw new InvalidArgumentError(`it is at most ${MEMORY_MAX_MIB}: the kernel uses no more.`);
}

function journalSize(argument: string): number {
  const bytes = byteCount(argument);
  if (bytes >= JOURNAL_MIN && bytes <= JOURNAL_MAX) return bytes;
  throw new InvalidArgumentError('it is from 64k to 120M.');
}

export const storeDomainService: Service = {
  name: 'store-domain',
  summary: 'keep a domain there that is xenstored: start it again whenever it ends, with its state',

  addOptions(command) {
    command
      .requiredOption('-i, --image <file>', 'what `paravane build xenstored` has made')
      .option('--memory <MiB>', 'memory of the domain', memorySize, 32)
      .option(
        '--journal <bytes>',
        'memory for what must outlive it: twice its state, and more while much changes',
        journalSize,
        8 << 20,
      )
      .option(
        '--cpus <list>',
        'processors that it may run on, such as 1-3,5: all without',
        processors,
      )
      .addHelpText(
        'after',
        `
Starts the domain as the first xenstored of the host, or finds the one that a former keeper has started. Its
journal is the memory of a further domain, which never runs: it outlives the store domain, this process and all
others of dom0. When the store domain has crashed or was destroyed, it is started again under its domid, and
dom0 and all guests go on where they were; transactions that were open end with EAGAIN.

SIGHUP ends the domain and starts it from the image as it is now, its kernel and engine included. SIGTERM ends
this process alone.

Examples:
  paravane build xenstored -o /usr/local/lib/xenstored.elf
  paravane run store-domain --image /usr/local/lib/xenstored.elf --daemon --pid-file /run/store-domain.pid
  kill -HUP "$(cat /run/store-domain.pid)"        another image is there
`,
      );
  },

  async start(options, log) {
    const { openStoreDomain } = await import('./store-domain/open.ts');
    const { image, memory, journal, cpus } = options;
    return openStoreDomain({ image, memory_mib: memory, journalBytes: journal, cpus }, log);
  },
};
