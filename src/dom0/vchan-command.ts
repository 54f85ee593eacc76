/** `paravane vchan`: byte streams to other domains, bridged to what programs can open. */
import { type Command, InvalidArgumentError } from 'commander';
import { errorMessage } from '../base/errors.ts';
import { parseVchanTarget, type VchanTarget } from '../node/vchan-target.ts';
import { VCHAN_RING_MAX } from '../vchan/rings.ts';
import { wholeNumber } from './option-values.ts';

const RING_SIZE = 16_384;
const CONNECTIONS = 128;

const TARGETS = `
TARGET is what the bytes come from and go to:
  -                 standard input and output of this command; it ends with the connection
  PATH              a Unix socket
  tcp:[HOST:]PORT   TCP, at 127.0.0.1 unless a host is given
  NUMBER            an open descriptor

PORT is a number or a name that both ends agree on, for the keys in
/local/domain/<server>/data/vchan/<client>/<port>. One that contains a slash is
taken for the path of the keys itself, as vchan-socket-proxy has it.
`;

function parseTarget(argument: string): VchanTarget | undefined {
  if (argument === '-') return undefined;
  try {
    return parseVchanTarget(argument);
  } catch (error) {
    throw new InvalidArgumentError(errorMessage(error));
  }
}

function parsePort(argument: string): string {
  if (argument === '' || argument.endsWith('/')) {
    throw new InvalidArgumentError('it is a number, a name or a path.');
  }
  return argument;
}

function ringSize(argument: string): number {
  const size = wholeNumber(0)(argument);
  if (size > VCHAN_RING_MAX) {
    throw new InvalidArgumentError(`a ring has at most ${VCHAN_RING_MAX} bytes.`);
  }
  return size;
}

/** The options of the one command and of the other. */
interface Options {
  readonly receiveSize?: number;
  readonly sendSize?: number;
  readonly connections?: number;
  readonly statePath?: string;
  readonly socket?: string;
  readonly verbose?: boolean;
}

function addEnd(vchan: Command, role: 'listen' | 'connect', summary: string): Command {
  return vchan
    .command(role)
    .summary(summary)
    .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
    .argument('<domain>', 'the other domain, by number or name')
    .argument('<port>', 'a number, a name or a path', parsePort)
    .argument('[target]', 'see below', parseTarget)
    .option('-s, --state-path <path>', 'write "running" to this node of xenstore once it serves')
    .option('-v, --verbose', 'say when connections begin and end')
    .option('--socket <file>', "xenstored's socket or device, instead of the usual one")
    .addHelpText('after', TARGETS)
    .action(
      async (domain: string, port: string, target: VchanTarget | undefined, options: Options) => {
        const [{ runVchan }, { nodeLog }] = await Promise.all([
          import('./run-vchan.ts'),
          import('../node/log.ts'),
        ]);
        const log = nodeLog({ level: options.verbose === true ? 'debug' : 'info', format: 'text' });
        const settings = {
          ...{ role, domain, port, target },
          receive_min: options.receiveSize ?? RING_SIZE,
          send_min: options.sendSize ?? RING_SIZE,
          connections_max: options.connections ?? CONNECTIONS,
          statePath: options.statePath,
        };
        await runVchan(settings, options.socket, log);
      },
    );
}

/** Adds `vchan listen` and `vchan connect` to `program`. */
export function addVchanCommand(program: Command): void {
  const vchan = program
    .command('vchan')
    .summary('bridge byte streams between domains')
    .description('Bridge byte streams between domains, as vchan-socket-proxy does.')
    .enablePositionalOptions();
  addEnd(vchan, 'listen', 'offer a vchan and connect each client of it to a target')
    .option('--receive-size <bytes>', 'what the ring from the client holds at least', ringSize)
    .option('--send-size <bytes>', 'what the ring to the client holds at least', ringSize)
    .option(
      '--connections <count>',
      `clients at once, ${CONNECTIONS} if not given`,
      wholeNumber(1),
    );
  addEnd(vchan, 'connect', 'listen at a target and connect each client of it to a vchan');
}
