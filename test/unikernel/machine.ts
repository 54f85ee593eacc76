/**
 * An image in a machine without Xen, which it switches off, as QEMU's gdb stub has it: so the state of the
 * processor that the loader leaves can be another one than QEMU's, and can be looked at in the end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const QEMU = 'qemu-system-x86_64';

/** `scripts/setup --no-xen` leaves it out. */
export const hasMachine = (process.env.PATH ?? '')
  .split(delimiter)
  .some((directory) => existsSync(join(directory, QEMU)));

const checksum = (text: string) =>
  [...text].reduce((sum, character) => (sum + character.charCodeAt(0)) & 0xff, 0);

export class Machine {
  private readonly child: ChildProcess;
  private readonly socket: Socket;
  private received = '';
  private printed = '';
  private names: readonly string[] = [];

  private constructor(child: ChildProcess, socket: Socket) {
    this.child = child;
    this.socket = socket;
    child.stdout?.setEncoding('latin1').on('data', (text: string) => {
      this.printed += text;
    });
    socket.setEncoding('latin1').on('data', (text: string) => {
      this.received += text;
    });
  }

  /** The processor has not begun yet. */
  static async create(image: string, socketPath: string): Promise<Machine> {
    const child = spawn(
      QEMU,
      [
        ...['-S', '-gdb', `unix:${socketPath},server=on,wait=off`, '-no-shutdown'],
        ...['-display', 'none', '-serial', 'stdio', '-accel', 'tcg', '-kernel', image],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    while (!existsSync(socketPath)) await pause(20);
    const socket = connect(socketPath);
    await once(socket, 'connect');
    const machine = new Machine(child, socket);
    await machine.readNames();
    return machine;
  }

  /** What it has written to its serial port. */
  get console(): string {
    return this.printed;
  }

  async register(name: string): Promise<number> {
    const bytes = Buffer.from(await this.ask(`p${this.numberOf(name)}`), 'hex');
    return bytes.readUInt32LE(0);
  }

  async setRegister(name: string, value: number): Promise<void> {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    const answer = await this.ask(`P${this.numberOf(name)}=${bytes.toString('hex')}`);
    if (answer !== 'OK') throw new Error(`QEMU does not set ${name}: ${answer}`);
  }

  /** Resolves when the machine is switched off, or has reset itself. */
  async run(): Promise<void> {
    await this.ask('c');
  }

  async close(): Promise<void> {
    this.socket.destroy();
    const closed = once(this.child, 'close');
    this.child.kill();
    await closed;
  }

  private numberOf(name: string): string {
    const number = this.names.indexOf(name);
    if (number < 0) throw new Error(`QEMU has no register ${name}`);
    return number.toString(16);
  }

  private async readNames(): Promise<void> {
    let description = '';
    for (let part = 'm'; part[0] === 'm'; ) {
      const from = description.length.toString(16);
      part = await this.ask(`qXfer:features:read:i386-64bit.xml:${from},800`);
      description += part.slice(1);
    }
    // Registers are numbered as they are listed; some of the list is commented out.
    const listed = description.replace(/<!--.*?-->/gs, '').matchAll(/<reg name="(\w+)"/g);
    this.names = [...listed].map(([, name]) => name as string);
  }

  /** Sends a packet; the one that answers it. */
  private async ask(packet: string): Promise<string> {
    this.received = '';
    this.socket.write(`+$${packet}#${checksum(packet).toString(16).padStart(2, '0')}`);
    for (;;) {
      const [, answer] = /\$([^#]*)#[0-9a-f]{2}/.exec(this.received) ?? [];
      if (answer !== undefined) return answer;
      await once(this.socket, 'data');
    }
  }
}
