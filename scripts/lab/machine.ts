/** One QEMU that runs Xen and, as its dom0, Debian's kernel with the agent. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { buildSync } from 'esbuild';
import { CHECKOUT, debianKernel } from './debian.ts';
import { cached, digest, dom0Initramfs, xenElf } from './initramfs.ts';

export interface MachineOptions {
  /** Of the whole machine; Xen, dom0 and the guests share it. */
  readonly memory_mib: number;
  readonly dom0Memory_mib: number;
  readonly cpus: number;
  /** Of which PVH guests are made. The machine has it unless told otherwise. */
  readonly hardwareVirtualisation?: boolean | undefined;
  /** Seen as /lab in dom0, for reading and writing. Without, /lab is gone with dom0. */
  readonly shared?: string | undefined;
  /** Added to Xen's command line. */
  readonly xenArgs?: string | undefined;
  /** Added to the command line of dom0's kernel. */
  readonly kernelArgs?: string | undefined;
}

export const MACHINE_DEFAULTS = { memory_mib: 4096, dom0Memory_mib: 2048, cpus: 2 } as const;

/**
 * The processors that PVH and HVM guests may run on: all but the first, when there are more. In QEMU 7.2
 * every processor that loads the state of its FPU (`cpu_set_fpus`) also reads, changes and writes
 * back a word of the first one, `hflags2`, without a lock. What that one has done to it meanwhile as it
 * enters or leaves a guest is lost, be it that its pages are nested or that interrupts wait: the guest ends
 * with a triple fault, or Xen panics.
 */
function pvhCpus(cpus: number): string | undefined {
  if (cpus === 1) return undefined;
  return cpus === 2 ? '1' : `1-${cpus - 1}`;
}

/** What Xen says when it gives up. The machine has nothing to restart it, and would stand still. */
const PANIC = '(XEN) Panic on CPU';
/** For what Xen says after that. */
const PANIC_WORDS_MS = 1000;

/** Characters of the console, and of QEMU's own messages, that are kept. */
const CONSOLE_KEPT = 65_536;

export interface Machine {
  /** The processors that PVH guests may run on, as xl has it; all of them when absent. */
  readonly pvhCpus: string | undefined;
  /** To and from the agent. */
  readonly channel: Duplex;
  /** Resolves when QEMU has ended, with the reason in words. */
  readonly ended: Promise<string>;
  /** The last lines that Xen and dom0's kernel wrote to the serial console. */
  consoleTail(lines: number): string;
  /** How long there has been nothing new on the console. */
  silent_ms(): number;
  /** Ends QEMU if it still runs. */
  kill(): void;
}

/** The agent as one file. It finds node-pty in the checkout's node_modules from where it lies. */
function agentFile(): string {
  const { outputFiles } = buildSync({
    entryPoints: [join(CHECKOUT, 'scripts/lab/agent.ts')],
    write: false,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['node-pty'],
    logLevel: 'warning',
  });
  const text = outputFiles[0]?.text ?? '';
  return cached(`agent-${digest(text)}.cjs`, (path) => writeFileSync(path, text));
}

/** QEMU takes a comma in a path for the end of an option; a doubled one stands for itself. */
const escaped = (path: string) => path.replaceAll(',', ',,');

function qemuArgs(options: MachineOptions): string[] {
  const { hardwareVirtualisation = true } = options;
  const xen = [
    'console=com1 com1=115200,8n1 loglvl=warning',
    `dom0_mem=${options.dom0Memory_mib}M`,
    options.xenArgs ?? '',
  ].join(' ');
  const guestCpus = pvhCpus(options.cpus);
  const dom0 = [
    'console=hvc0 panic=-1 rdinit=/init',
    // The kernel hands what it does not know itself to init as environment.
    `LAB_NODE="${process.execPath}" LAB_AGENT="${agentFile()}"`,
    options.shared === undefined ? '' : 'LAB_IS_SHARED=yes',
    guestCpus === undefined ? '' : `LAB_PVH_CPUS=${guestCpus}`,
    options.kernelArgs ?? '',
  ].join(' ');
  const share = (path: string, tag: string) =>
    `local,path=${escaped(path)},mount_tag=${tag},security_model=none,multidevs=remap`;
  return [
    // Emulated, with a thread for each CPU, so that every machine can do it and sees the same.
    ...['-accel', 'tcg,thread=multi'],
    // Without SMAP: with it, QEMU 7.2 faults when a PV dom0 returns to user mode.
    // Without RDTSCP: QEMU 7.2 leaves out the length of that instruction when a nested PVH or HVM
    // guest is intercepted at it, and Xen then never gets past it.
    // Without XSAVE and AVX: with them, processes in dom0 now and then found their memory or their
    // registers damaged ("corrupted top size" in xl and in node, a wild pointer in V8) while a guest
    // was running. QEMU 7.2 is new to both.
    ...['-cpu', `max,-smap,-rdtscp,-xsave,-avx,-avx2${hardwareVirtualisation ? '' : ',-svm'}`],
    ...['-smp', String(options.cpus), '-m', String(options.memory_mib)],
    ...['-display', 'none', '-nic', 'none', '-no-reboot', '-nodefaults'],
    ...['-serial', 'stdio'],
    ...['-kernel', xenElf(), '-append', xen],
    ...['-initrd', `${debianKernel().image} ${escaped(dom0)},${dom0Initramfs()}`],
    ...['-virtfs', `${share('/', 'root')},readonly=on`],
    ...(options.shared === undefined ? [] : ['-virtfs', share(options.shared, 'lab')]),
    // Descriptor 3 is our end-to-end socket: no file in the way, and it ends when we do.
    ...['-chardev', 'socket,id=agent,fd=3'],
    ...['-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=agent'],
  ];
}

function endOf(qemu: ChildProcess, errors: () => string): Promise<string> {
  return new Promise((resolve) => {
    qemu.once('error', (error) => resolve(`QEMU did not start: ${error.message}`));
    qemu.once('exit', (code, signal) =>
      resolve(`QEMU ended (${signal ?? code}) ${errors().trim()}`.trim()),
    );
  });
}

/** Starts QEMU, which ends with our own process at the latest: the agent sees to that. */
export function startMachine(options: MachineOptions): Machine {
  if (options.shared !== undefined) mkdirSync(options.shared, { recursive: true });
  const qemu = spawn('qemu-system-x86_64', qemuArgs(options), {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  let console = '';
  let errors = '';
  let heard_ms = performance.now();
  let panicked = false;
  let line = '';
  const kill = () => {
    qemu.kill('SIGKILL');
  };
  qemu.stdout?.on('data', (data: Buffer) => {
    console = (console + data.toString('latin1')).slice(-CONSOLE_KEPT);
    heard_ms = performance.now();
    const lines = (line + data.toString('latin1')).split('\n');
    line = lines.pop() as string;
    if (panicked || !lines.some((whole) => whole.includes(PANIC))) return;
    panicked = true;
    setTimeout(kill, PANIC_WORDS_MS);
  });
  qemu.stderr?.on('data', (data) => {
    errors = (errors + data).slice(-CONSOLE_KEPT);
  });
  process.once('exit', kill);
  const ended = endOf(qemu, () => (panicked ? 'Xen has panicked' : errors)).finally(() =>
    process.off('exit', kill),
  );
  return {
    channel: qemu.stdio[3] as Duplex,
    pvhCpus: pvhCpus(options.cpus),
    ended,
    consoleTail: (lines) =>
      console.replaceAll('\r', '').trimEnd().split('\n').slice(-lines).join('\n'),
    silent_ms: () => performance.now() - heard_ms,
    kill,
  };
}
