/** The programs that can take the place of this one, for a live update: ours, and C's xenstored. */
import { spawn } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { resolve } from 'node:path';
import { errorMessage, XenError } from '../../src/base/errors.ts';
import type { LinuxHypervisor } from '../../src/hypervisor/linux/hypervisor.ts';
import type { Native } from '../../src/hypervisor/linux/native.ts';
import { xenstoreStatePath } from '../../src/node/xenstore-socket.ts';
import type { Program, Succession, Successor } from '../../src/xenstored/live-update.ts';
import { encodeMigrationStream } from '../../src/xenstored/migration-stream-encode.ts';
import type { Quotas } from '../../src/xenstored/quota.ts';
import type { ServerState } from '../../src/xenstored/state.ts';
import { encodeState } from '../../src/xenstored/state-encoding.ts';

export interface SuccessionParts {
  readonly native: Native;
  readonly hypervisor: LinuxHypervisor | undefined;
  /** Descriptor of the socket that clients connect to. */
  readonly listener: () => number;
  /** Where the journal is: another xenstored does not keep it. */
  readonly journal: string | undefined;
  /** The file that names this process. */
  readonly pidFile: string | undefined;
}

/** How long a new version may take to say whether it would take over. */
const REHEARSAL_LIMIT_MS = 60_000;
/** The flag for a program that is to take over; C's xenstored calls it so. */
const TAKE_OVER = ['-U', '--live-update'];
const REHEARSE = '--rehearse';
/** The largest number that C's xenstored reads: it has no word for no limit. */
const C_NO_LIMIT = 2 ** 31 - 1;

function refuse(file: string, detail: string): never {
  throw new XenError('EINVAL', `live update to ${file}`, detail);
}

/** What a file begins with. Throws EINVAL when it is none that could run. */
function beginningOf(file: string): string {
  const bytes = Buffer.alloc(256);
  try {
    if (!statSync(file).isFile()) refuse(file, 'it is no file');
    accessSync(file, constants.X_OK);
    const fd = openSync(file, 'r');
    const length = readSync(fd, bytes);
    closeSync(fd);
    return bytes.toString('latin1', 0, length);
  } catch (error) {
    if (error instanceof XenError) throw error;
    return refuse(file, errorMessage(error));
  }
}

/** Writes what the successor is to read. Throws EIO, and then nothing is left there. */
function writeDump(bytes: Uint8Array): void {
  const path = xenstoreStatePath();
  removeDump();
  try {
    writeFileSync(path, bytes, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    removeDump();
    throw new XenError('EIO', `write the state to ${path}`, errorMessage(error), error);
  }
}

function removeDump(): void {
  const path = xenstoreStatePath();
  if (existsSync(path)) unlinkSync(path);
}

const wordsOf = (commandLine: string) => commandLine.split(/[ \t]+/).filter((word) => word !== '');

const withTakeOver = (words: readonly string[]) => [
  ...words.filter((word) => !TAKE_OVER.includes(word)),
  TAKE_OVER[0] as string,
];

/** The options of C's xenstored that give it the limits as they are now: its stream has no place for them. */
function cOptions({ quotas }: ServerState, pidFile: string | undefined): string[] {
  const limit = (quota: keyof Quotas) => quotas[quota] || C_NO_LIMIT;
  return [
    ...(pidFile === undefined ? [] : ['-F', pidFile]),
    ...['-E', limit('nodes'), '-S', limit('nodeSize'), '-W', limit('watches')],
    ...['-t', limit('transactions'), '-A', limit('permissions'), '-M', limit('pathLength')],
    ...['-Q', `outstanding=${limit('outstanding')}`],
    ...['-Q', `transaction-nodes=${limit('transactionNodes')}`],
    // Of memory alone 0 is no limit there, too.
    ...['-Q', `memory=${quotas.memoryHard}`, '-q', `memory=${quotas.memorySoft}`],
  ].map(String);
}

function clientSockets({ connections }: ServerState): number[] {
  return connections.flatMap(({ carrier }) => (carrier.kind === 'socket' ? [carrier.fd] : []));
}

class Successors implements Succession {
  private readonly parts: SuccessionParts;

  constructor(parts: SuccessionParts) {
    this.parts = parts;
  }

  find(program: Program, commandLine: string | undefined): Successor {
    if (typeof program !== 'string') {
      throw new XenError('EINVAL', 'live update', 'this xenstored is a process: it takes a file');
    }
    const file = resolve(program);
    const beginning = beginningOf(file);
    const words = commandLine === undefined ? undefined : wordsOf(commandLine);
    if (beginning.startsWith('\x7fELF')) {
      return this.foreign(file, words);
    }
    // Whatever else it is, to try would be to run it.
    if (/^#!.*\bnode\b/.test(beginning)) return this.ours(file, words ?? process.argv.slice(2));
    return refuse(file, 'it is neither a script for Node nor an ELF file');
  }

  private ours(file: string, words: readonly string[]): Successor {
    const args = withTakeOver(words);
    const { native, listener } = this.parts;
    return {
      keepsAll: true,
      rehearse: (state) => rehearse(file, args, encodeState({ state, listener: listener() })),
      takeOver: (state) => {
        writeDump(encodeState({ state, listener: listener() }));
        become(native, file, args, [listener(), ...clientSockets(state)]);
      },
    };
  }

  private foreign(file: string, words: readonly string[] | undefined): Successor {
    const { native, listener, hypervisor, journal, pidFile } = this.parts;
    return {
      keepsAll: false,
      rehearse: async (state) => {
        encodeMigrationStream(state, { listener: -1, events: undefined, ports: new Map() });
      },
      takeOver: (state, ports) => {
        const events = hypervisor?.events.handOver();
        writeDump(encodeMigrationStream(state, { listener: listener(), events, ports }));
        // What it says is about to be true no more; if this fails, it is begun anew.
        if (journal !== undefined && existsSync(journal)) unlinkSync(journal);
        const kept = [
          listener(),
          ...clientSockets(state),
          ...(events === undefined ? [] : [events]),
        ];
        become(native, file, withTakeOver(words ?? cOptions(state, pidFile)), kept);
      },
    };
  }
}

/** Lets the file say whether it would take that up; all goes on meanwhile. */
async function rehearse(file: string, args: readonly string[], state: Uint8Array): Promise<void> {
  writeDump(state);
  try {
    const child = spawn(file, [...args, REHEARSE], {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: REHEARSAL_LIMIT_MS,
      killSignal: 'SIGKILL',
    });
    let said = '';
    child.stderr.on('data', (text) => {
      said = `${said}${text}`.slice(-4096);
    });
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>(
      (done, failed) => {
        child.once('error', failed);
        child.once('close', (...how) => done(how));
      },
    );
    if (code === 0) return;
    const last = said.trim().split('\n').pop() ?? '';
    refuse(file, `it does not take over: ${last === '' ? `it ended by ${signal ?? code}` : last}`);
  } catch (error) {
    if (error instanceof XenError) throw error;
    refuse(file, errorMessage(error));
  } finally {
    removeDump();
  }
}

/** Returns only by throwing. */
function become(native: Native, file: string, args: readonly string[], kept: number[]): void {
  const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
  try {
    native.execute(file, [file, ...args], environment, Int32Array.from(kept));
  } catch (error) {
    removeDump();
    refuse(file, errorMessage(error));
  }
}

export function successionOf(parts: SuccessionParts): Succession {
  return new Successors(parts);
}
