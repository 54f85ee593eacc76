/** Requests written down for many clients, and player.c, which plays them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { XS_TRANSACTION_END, XS_TRANSACTION_START } from '../../src/abi/io/xs_wire.ts';
import { encodePacket, encodeStrings } from '../../src/xenstore/packet.ts';
import { compile } from '../xenstored/c-daemon/stand-in.ts';

/** What one client sends in a phase, one packet after the reply to the last. */
export interface Part {
  readonly packets: readonly Uint8Array[];
  /** How often it sends them all. */
  readonly times?: number;
}

/** By client; all are done before the next phase begins. A client may have nothing to do in it. */
export type Phase = readonly (Part | undefined)[];

/** What a phase took, and what it was. */
export interface Played {
  readonly seconds: number;
  readonly requests: number;
  /** Transactions that ended with EAGAIN and were done again. */
  readonly retries: number;
  /** Replies that were another error. */
  readonly errors: number;
}

/** A request. The player puts in the transaction. */
export function request(type: number, payload: Uint8Array): Uint8Array {
  return encodePacket({ type, requestId: 0, transactionId: 0, payload });
}

/** The requests within a transaction, which is tried until it is committed. */
export function inTransaction(...packets: readonly Uint8Array[]): Uint8Array[] {
  const start = request(XS_TRANSACTION_START, encodeStrings(''));
  return [start, ...packets, request(XS_TRANSACTION_END, encodeStrings('T'))];
}

function scriptOf(phases: readonly Phase[]): Uint8Array {
  const clients = Math.max(...phases.map(({ length }) => length));
  const numbers = (...values: readonly number[]) => new Uint8Array(new Uint32Array(values).buffer);
  const pieces = [numbers(clients, phases.length)];
  for (const phase of phases) {
    for (let client = 0; client < clients; client++) {
      const { packets = [], times = 1 } = phase[client] ?? {};
      const bytes = Buffer.concat(packets);
      pieces.push(numbers(times, bytes.length), bytes);
    }
  }
  return Buffer.concat(pieces);
}

export class Player {
  private readonly program: string;
  private readonly script: string;

  constructor(directory: string) {
    this.program = join(directory, 'player');
    this.script = join(directory, 'script');
    compile(join(import.meta.dirname, 'player.c'), this.program, '-O2');
  }

  /** Plays the phases to the daemon at `socket`, from the processor `cpu`. */
  async play(socket: string, cpu: number, phases: readonly Phase[]): Promise<Played[]> {
    writeFileSync(this.script, scriptOf(phases));
    const command = ['--cpu-list', `${cpu}`, this.program, socket, this.script];
    const child = spawn('taskset', command, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let complaints = '';
    child.stdout.on('data', (text) => {
      output += text;
    });
    child.stderr.on('data', (text) => {
      complaints += text;
    });
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`player: ${code} ${complaints}`);
    process.stderr.write(complaints);
    return output
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [nanoseconds = 0, requests = 0, retries = 0, errors = 0] = line
          .split(' ')
          .map(Number);
        return { seconds: nanoseconds / 1e9, requests, retries, errors };
      });
  }
}
