/** A stock Linux guest in the lab, made and driven as a user would: xl and its console. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT, debianKernel } from './debian.ts';
import { DEVICE_NODE_MODULES, guestInitramfs } from './initramfs.ts';
import type { Lab } from './lab.ts';
import type { DomZeroProcess } from './process.ts';
import { toolsDisk } from './tools-disk.ts';

export type GuestType = 'pv' | 'pvh';

const DISK_MIB = 160;
const GIVEN_MIB = 8;

/**
 * An eighth of what Xen gives to others: a guest that computes must not keep those waiting who serve it,
 * as emulated processors are slow.
 */
const GUEST_WEIGHT = 32;

/** Emulated, a guest needs its time; a machine under load more. */
const GUEST_LIMIT_MS = 300_000;

/** The guest's initramfs: it proves its disk (guest-disk.sh) and leaves a shell at its console. */
export function diskGuestInitramfs(): string {
  return guestInitramfs(readFileSync(join(CHECKOUT, 'scripts/lab/guest-disk.sh'), 'utf8'));
}

/** The guest's initramfs for one whose disk `makeProgramDisk` has made. */
export function programGuestInitramfs(): string {
  const tail = readFileSync(join(CHECKOUT, 'scripts/lab/guest-programs.sh'), 'utf8');
  return guestInitramfs(tail, [], DEVICE_NODE_MODULES);
}

/** Programs of Debian's that a guest with `toolsGuestInitramfs()` has. */
const GUEST_TOOLS = [
  'fio',
  'mkfs.ext4',
  'e2fsck',
  'blkdiscard',
  'blockdev',
  'cmp',
  'ethtool',
  'iperf3',
];

/**
 * The initramfs of a guest that is told at its console what to do with its disks.
 *
 * @param programs see `guestInitramfs`
 */
export function toolsGuestInitramfs(programs: readonly string[] = []): string {
  const tail = readFileSync(join(CHECKOUT, 'scripts/lab/guest-tools.sh'), 'utf8');
  return guestInitramfs(tail, programs);
}

/** The disk that such a guest must have as xvda, read-only. */
export function guestToolsDisk(): string {
  return toolsDisk(GUEST_TOOLS);
}

export interface GuestConfig {
  readonly name: string;
  readonly type: GuestType;
  /** Path of the kernel; Debian's when absent. */
  readonly kernel?: string;
  /** Path of the initramfs; a kernel of our own may need none. */
  readonly ramdisk?: string;
  /** The kernel's command line; that of a stock Linux guest when absent. */
  readonly commandLine?: string;
  /**
   * What becomes of a guest that reboots, or ends with a triple fault, which is the same to Xen. It is
   * gone unless told otherwise.
   */
  readonly onReboot?: 'destroy' | 'restart';
  /** Added to the kernel's command line; `module.parameter=value` reaches the module. */
  readonly extra?: string;
  readonly vcpus?: number;
  /** Lines for xl, such as `format=raw,vdev=xvda,access=rw,target=/disk.img`. */
  readonly disks?: readonly string[];
  /** The same for interfaces: `mac=00:16:3e:00:00:01,bridge=xenbr0`. */
  readonly vifs?: readonly string[];
  readonly memory_mib?: number;
  /** For xl, and for what it leaves running in dom0 until the guest ends. */
  readonly env?: Readonly<Record<string, string>>;
}

function xlConfig(config: GuestConfig): string {
  const { name, type, kernel = debianKernel().image, ramdisk, disks = [], vifs = [] } = config;
  const { memory_mib = 192, vcpus = 1, extra = '', onReboot = 'destroy' } = config;
  const { commandLine = `console=hvc0 quiet panic=-1 ${extra}` } = config;
  return [
    `name = "${name}"`,
    `type = "${type}"`,
    `kernel = "${kernel}"`,
    ...(ramdisk === undefined ? [] : [`ramdisk = "${ramdisk}"`]),
    `extra = "${commandLine}"`,
    `memory = ${memory_mib}`,
    `vcpus = ${vcpus}`,
    `cpu_weight = ${GUEST_WEIGHT}`,
    `on_reboot = "${onReboot}"`,
    `disk = [ ${disks.map((disk) => `"${disk}"`).join(', ')} ]`,
    ...(vifs.length === 0 ? [] : [`vif = [ ${vifs.map((vif) => `"${vif}"`).join(', ')} ]`]),
    '',
  ].join('\n');
}

/**
 * Makes a disk image in dom0, with an ext4 file system that holds a file and its SHA-256.
 *
 * @param more a directory whose content is on the disk too
 */
export async function makeDisk(lab: Lab, path: string, more?: string): Promise<void> {
  await lab.run(
    `content=$(mktemp -d) && cd "$content" && ${more === undefined ? '' : `cp -r ${more}/. . &&`}
     head -c ${GIVEN_MIB}M /dev/urandom >given && sha256sum given >given.sha256 &&
     truncate -s ${DISK_MIB}M ${path} && mkfs.ext4 -q -d "$content" ${path} && rm -r "$content"`,
    { timeout_ms: GUEST_LIMIT_MS },
  );
}

export class Guest {
  readonly name: string;
  readonly #lab: Lab;
  #console: DomZeroProcess | undefined;
  #turns = 0;

  private constructor(lab: Lab, name: string) {
    this.#lab = lab;
    this.name = name;
  }

  /** Resolves once xl has made the guest, and a PVH guest has come up. */
  static async create(lab: Lab, config: GuestConfig): Promise<Guest> {
    const path = `/run/${config.name}.cfg`;
    await lab.run(`cat >${path}`, { input: xlConfig(config) });
    const { env = {} } = config;
    await lab.run(['xl', 'create', path], { timeout_ms: GUEST_LIMIT_MS, env });
    const guest = new Guest(lab, config.name);
    // Ours print what they like; Linux has booted once guest-init.sh says so.
    const sign = config.ramdisk === undefined ? '.' : 'GUEST-UP';
    if (config.type === 'pv' || (await guest.#hasShown(sign))) return guest;
    throw new Error(`${config.name} was gone before it had booted\n${lab.lastSeen()}`);
  }

  /** Whether `sign` comes to stand in the guest's log; otherwise it is gone. */
  async #hasShown(sign: string): Promise<boolean> {
    const log = `/var/log/xen/console/guest-${this.name}.log`;
    const state = await this.#lab.waitFor(
      `sign of life from ${this.name}`,
      async () => {
        const { stdout } = await this.#lab.attempt(
          `if ! xl domid ${this.name}; then echo gone; elif grep -q ${sign} ${log}; then echo up; fi`,
        );
        return /gone|up/.exec(stdout)?.[0];
      },
      GUEST_LIMIT_MS,
    );
    return state === 'up';
  }

  /** Opens `xl console`, once. */
  console(): DomZeroProcess {
    this.#console ??= this.#lab.start(['xl', 'console', this.name], {
      terminal: { columns: 80, rows: 24 },
    });
    return this.#console;
  }

  /** Resolves with the match once the guest's console shows `pattern`. */
  shows(pattern: RegExp): Promise<RegExpExecArray> {
    return this.console().waitFor(pattern, GUEST_LIMIT_MS);
  }

  /** Types a line at the guest's console and resolves with the match of what comes after it. */
  type(line: string, answer: RegExp): Promise<RegExpExecArray> {
    const console = this.console();
    const from = console.output.length;
    console.write(`${line}\r`);
    return console.waitFor(answer, GUEST_LIMIT_MS, from);
  }

  /**
   * Runs a command at the guest's console and resolves with what it wrote. Rejects unless its exit
   * status is 0.
   */
  async run(command: string): Promise<string> {
    const turn = ++this.#turns;
    // Neither marker stands so in the line that is typed, which the console shows too.
    const [, said = '', status] = await this.type(
      `echo "BEGAN-$((${turn}))"; ${command}; echo "ENDED-$?-$((${turn}))"`,
      new RegExp(`BEGAN-${turn}\\r?\\n([^]*)ENDED-(\\d+)-${turn}\\b`),
    );
    if (status === '0') return said;
    throw new Error(`${this.name}: ${command}: exit status ${status}\n${said}`);
  }

  async shutdown(): Promise<void> {
    await this.#lab.run(['xl', 'shutdown', '--wait', this.name], { timeout_ms: GUEST_LIMIT_MS });
  }

  async destroy(): Promise<void> {
    await this.#lab.run(['xl', 'destroy', this.name]);
  }
}

/** The SHA-256 of a file on an ext4 disk image in dom0, read without mounting it. */
export async function sha256OnDisk(lab: Lab, image: string, file: string): Promise<string> {
  const out = await lab.run(
    `set -o pipefail; debugfs -R "cat ${file}" ${image} 2>/dev/null | sha256sum`,
  );
  return out.slice(0, 64);
}

export interface DiskProof {
  /** The guest found the file that was on its disk to have the SHA-256 it should have. */
  readonly givenIsWhole: boolean;
  /** SHA-256 of the 64 MiB that the guest wrote, as the guest saw it when it wrote. */
  readonly written: string;
  /** The same once the guest had read it from the disk again. */
  readonly readBack: string;
  /** The same as dom0 finds it in the disk image. */
  readonly inDom0: string;
}

/** Watches a guest with `diskGuestInitramfs()` prove its disk, and looks at the result from dom0. */
export async function proveDisk(lab: Lab, guest: Guest, image: string): Promise<DiskProof> {
  const [, written = ''] = await guest.shows(/GUEST-WROTE (\w{64})/);
  const [, readBack = ''] = await guest.shows(/GUEST-READ-BACK (\w{64})/);
  await guest.shows(/GUEST-DISK-DONE/);
  return {
    givenIsWhole: guest.console().output.includes('GUEST-READ-OK'),
    written,
    readBack,
    inDom0: await sha256OnDisk(lab, image, '/written'),
  };
}
