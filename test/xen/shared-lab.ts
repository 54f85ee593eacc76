/** The one lab that all tests on real Xen share. Whoever asks first boots it. */
import type { OutputStream } from '../../scripts/lab/agent-protocol.ts';
import { Host } from '../../scripts/lab/host.ts';
import { Lab, type LabListener } from '../../scripts/lab/lab.ts';
import { MACHINE_DEFAULTS, type MachineOptions } from '../../scripts/lab/machine.ts';

/** Shows every command in dom0 and what it writes, as it happens. */
const narrator: LabListener = {
  command: (id, command) => process.stderr.write(`dom0 ${id}$ ${command}\n`),
  output: (id: number, _: OutputStream, data: Buffer) => {
    const lines = data.toString('utf8').trimEnd().split('\n');
    for (const line of lines) process.stderr.write(`dom0 ${id}| ${line}\n`);
  },
  exit: (id, code) => {
    if (code !== 0) process.stderr.write(`dom0 ${id}: exit status ${code}\n`);
  },
};

let booting: Promise<Lab> | undefined;

/** Ends with the test run; one that ended before is replaced by a fresh one. */
export function sharedLab(): Promise<Lab> {
  booting ??= Lab.boot(MACHINE_DEFAULTS, narrator).then((lab) => {
    void lab.ended.then(() => {
      booting = undefined;
    });
    return lab;
  });
  return booting;
}

/** A lab that nobody else has. The shared one ends, and is booted again for whoever asks next. */
export async function ownLab(machine: MachineOptions = MACHINE_DEFAULTS): Promise<Lab> {
  await (await booting)?.close();
  booting = undefined;
  starting = undefined;
  return Lab.boot(machine, narrator);
}

/** Does `work` in a lab that nobody else has. */
export async function inOwnLab(work: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = await ownLab();
  try {
    await work(lab);
  } finally {
    await lab.close();
  }
}

let starting: Promise<Host> | undefined;

/** The shared lab with our daemons in its dom0. */
export function sharedHost(): Promise<Host> {
  starting ??= sharedLab().then(async (lab) => {
    void lab.ended.then(() => {
      starting = undefined;
    });
    return Host.start(lab);
  });
  return starting;
}

/** The shared lab with none of our daemons in its dom0: they end, if they run there. */
export async function labWithoutDaemons(): Promise<Lab> {
  const running = starting;
  starting = undefined;
  await (await running)?.stop();
  return sharedLab();
}
