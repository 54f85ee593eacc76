/** `paravane run SERVICE`: where services become commands. */
import { type Command, Option, type OptionValues } from 'commander';
import type { Log, LogLevel } from '../base/log.ts';

/** A service that `paravane run` can start. The list of them is in services.ts. */
export interface Service {
  /** As it is typed: `xenstored`. */
  readonly name: string;
  /** One line, beginning in lower case, for the list of services. */
  readonly summary: string;
  /** Adds the options that are the service's own. Loads nothing of the service. */
  addOptions(command: Command): void;
  /**
   * Runs the service until it is told to end. Loads the code of the service with `import()`, so
   * that `paravane read` pays for none of it. Rejects when the service cannot start or go on.
   */
  run(options: OptionValues, log: Log): Promise<void>;
}

const LOG_LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

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
        const log = nodeLog({ level: options.logLevel, format: options.logFormat });
        await service.run(options, log);
      });
  }
}
