/** `paravane run SERVICE`: where services become commands. */
import { type Command, Option, type OptionValues } from 'commander';
import type { Log, LogLevel } from '../base/log.ts';

/** A service that serves. */
export interface RunningService {
  /** What SIGHUP asks for: that something is read or opened anew. */
  readonly onHangup?: () => void;
  close(): void | Promise<void>;
}

/** A service that `paravane run` can start. The list of them is in services.ts. */
export interface Service {
  /** As it is typed: `xenstored`. */
  readonly name: string;
  /** One line, beginning in lower case, for the list of services. */
  readonly summary: string;
  /** Adds the options that are the service's own. Loads nothing of the service. */
  addOptions(command: Command): void;
  /**
   * Starts the service. Loads its code with `import()`, so that `paravane read` pays for none of
   * it. Rejects when the service cannot start.
   */
  start(options: OptionValues, log: Log): Promise<RunningService>;
  /**
   * Does something else than to serve where the options ask for that, and resolves with whether
   * they do. Rejects when it fails.
   */
  readonly rehearse?: (options: OptionValues, log: Log) => Promise<boolean>;
  /** Whether this process serves already, and only the program in it is another. */
  readonly goesOn?: (options: OptionValues) => boolean;
}

const LOG_LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

/** Runs the service in this process until a signal. */
async function serve(service: Service, options: OptionValues, log: Log): Promise<void> {
  const { announceReady, endSignal, writePidFile } = await import('../node/daemon.ts');
  const signalled = endSignal(log);
  const running = await service.start(options, log);
  const onHangup = () => running.onHangup?.();
  try {
    const removePidFile =
      options.pidFile === undefined ? () => {} : writePidFile(options.pidFile as string);
    try {
      process.on('SIGHUP', onHangup);
      log.info(`${service.name} is ready`);
      announceReady();
      await signalled;
    } finally {
      process.off('SIGHUP', onHangup);
      removePidFile();
    }
  } finally {
    await running.close();
  }
}

/** Starts this command line again in the background and says with which pid it serves there. */
async function serveInBackground(service: Service, logFile: string, log: Log): Promise<void> {
  const { startInBackground } = await import('../node/daemon.ts');
  const args = process.argv.slice(2).filter((argument) => argument !== '--daemon');
  const pid = await startInBackground(args, logFile);
  log.info(`${service.name} serves in the background as process ${pid}`);
}

/** Adds `run` with one command a service to `program`. */
export function addRunCommand(program: Command, services: readonly Service[]): void {
  const run = program
    .command('run')
    .summary('run a service of the host')
    .description('Run a service of the host in this process, until SIGINT or SIGTERM ends it.')
    .enablePositionalOptions();
  for (const service of services) {
    const command = run
      .command(service.name)
      .summary(service.summary)
      .description(`${service.summary.charAt(0).toUpperCase()}${service.summary.slice(1)}.`);
    service.addOptions(command);
    command
      .option('--daemon', 'go to the background once it serves')
      .option(
        '--log-file <file>',
        'with --daemon: where the log goes',
        `/var/log/xen/paravane-${service.name}.log`,
      )
      .option('-F, --pid-file <file>', 'write the process id to this file')
      .addOption(
        new Option('--log-level <level>', 'the least that is logged')
          .choices(LOG_LEVELS)
          .default('info'),
      )
      .addOption(
        new Option('--log-format <format>', 'lines for people, or JSON for machines')
          .choices(['text', 'json'])
          .default('text'),
      )
      .action(async (options: OptionValues) => {
        const { nodeLog } = await import('../node/log.ts');
        // What was this process before may have been a daemon whose stderr nobody sees.
        const goesOn = service.goesOn?.(options) === true;
        const log = nodeLog({
          level: options.verbose === true ? 'debug' : options.logLevel,
          format: options.logFormat,
          file: goesOn && options.daemon === true ? options.logFile : undefined,
        });
        if (await service.rehearse?.(options, log)) return;
        if (options.daemon === true && !goesOn)
          await serveInBackground(service, options.logFile, log);
        else await serve(service, options, log);
      });
  }
}
