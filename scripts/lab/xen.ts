/** The program behind scripts/xen. */
import { writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, program } from 'commander';
import { Lab } from './lab.ts';
import { MACHINE_DEFAULTS } from './machine.ts';
import { LabTimeout } from './process.ts';
import { lendTerminal } from './terminal.ts';

/** As timeout(1) has it. */
const TIMED_OUT = 124;
/** The lab itself failed, not the command. */
const LAB_FAILED = 125;

interface Options {
  memory: number;
  dom0Memory: number;
  cpus: number;
  timeout?: number;
  out?: string;
  xenArgs?: string;
  kernelArgs?: string;
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}

function parse(argv: readonly string[]): { command: string[]; options: Options } {
  const { memory_mib, dom0Memory_mib, cpus } = MACHINE_DEFAULTS;
  const parsed: Command = program
    .name('scripts/xen')
    .description(
      'Boots the Xen hypervisor in QEMU and runs COMMAND in its dom0, or an interactive shell.\n' +
        "dom0 sees this machine's files at the same paths; what it writes is gone in the end,\n" +
        'except in /lab. The exit status is that of COMMAND.',
    )
    .argument('[command...]', 'program and arguments, without a shell')
    .option('--memory <MiB>', 'memory of the machine', positive, memory_mib)
    .option('--dom0-memory <MiB>', "dom0's part of it", positive, dom0Memory_mib)
    .option('--cpus <number>', 'CPUs of the machine', positive, cpus)
    .option('--timeout <seconds>', 'end COMMAND after that, with exit status 124', positive)
    .option('--out <directory>', 'is /lab in dom0')
    .option('--xen-args <text>', "added to Xen's command line")
    .option('--kernel-args <text>', "added to the command line of dom0's kernel")
    .passThroughOptions()
    .parse([...argv], { from: 'user' });
  return { command: parsed.args, options: parsed.opts<Options>() };
}

function say(text: string): void {
  writeSync(2, `lab: ${text}\n`);
}

/** Our standard input goes to the process, what it writes comes out at ours. */
async function runCommand(lab: Lab, command: readonly string[]): Promise<number> {
  const child = lab.start(command);
  child.onOutput = (stream, data) => process[stream].write(data);
  // A terminal is for the shell; a command gets what is piped to us.
  if (process.stdin.isTTY) child.endInput();
  else process.stdin.on('data', (data) => child.write(data)).on('end', () => child.endInput());
  return (await child.exit).code;
}

function runShell(lab: Lab): Promise<number> {
  say('a shell in dom0: `exit` or Ctrl-D powers the machine off, Ctrl-\\ ends it at once');
  return lendTerminal(lab, ['bash', '-i']);
}

/** Rejects with what was last seen when `timeout_s` are over. */
function limit(lab: Lab, work: Promise<number>, timeout_s: number): Promise<number> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const fail = () => reject(new LabTimeout(`ended after ${timeout_s} s\n${lab.lastSeen()}`));
    timer = setTimeout(fail, timeout_s * 1000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function main(): Promise<number> {
  const { command, options } = parse(process.argv.slice(2));
  const lab = await Lab.boot({
    memory_mib: options.memory,
    dom0Memory_mib: options.dom0Memory,
    cpus: options.cpus,
    shared: options.out && resolve(options.out),
    xenArgs: options.xenArgs,
    kernelArgs: options.kernelArgs,
  });
  try {
    const work = command.length === 0 ? runShell(lab) : runCommand(lab, command);
    return await (options.timeout === undefined ? work : limit(lab, work, options.timeout));
  } finally {
    await lab.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  say((error as Error).message);
  process.exitCode = error instanceof LabTimeout ? TIMED_OUT : LAB_FAILED;
}
// What may still hold us back is our own standard input.
process.stdin.destroy();
