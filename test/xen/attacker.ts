/** The guest that means ill, compiled from test/xen/attacker, and made by xl like any other. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT } from '../../scripts/lab/debian.ts';
import { Guest } from '../../scripts/lab/guest.ts';
import { cached, digest } from '../../scripts/lab/initramfs.ts';
import type { Lab } from '../../scripts/lab/lab.ts';
import { XS_SET_TARGET } from '../../src/abi/io/xs_wire.ts';
import { latin1Decode } from '../../src/base/bytes.ts';
import { encodePacket, encodeStrings } from '../../src/xenstore/packet.ts';
import type { Scene } from './attack-scenes.ts';
import type { Experience, Victim } from './victim.ts';

const DIRECTORY = join(CHECKOUT, 'test/xen/attacker');
const LINKER_SCRIPT = join(DIRECTORY, 'attacker.ld');

/** No floating point and no red zone: nobody saves either where Xen's code runs in our place. */
const FLAGS = [
  ...['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror'],
  ...['-ffreestanding', '-fno-tree-loop-distribute-patterns', '-mgeneral-regs-only'],
  ...['-mno-red-zone', '-fno-pic', '-fno-pie', '-fno-stack-protector'],
  ...['-fno-asynchronous-unwind-tables', '-nostdlib', '-static', '-no-pie'],
  ...[`-Wl,-T,${LINKER_SCRIPT}`, '-Wl,--build-id=none', '-Wl,--no-warn-rwx-segments'],
];

/** Of 8 MiB too little is left for the page tables that Xen keeps for a PVH guest. */
const MEMORY_MIB = 32;
const BEGIN_LIMIT_MS = 60_000;
const END_LIMIT_MS = 60_000;
const MEASURE_MS = 2000;

/** Path of the ELF file, compiled when one of its parts has changed. */
function kernel(): string {
  const sources = ['boot.S', 'guest.c', 'ring.c', 'attacks.c'].map((name) => join(DIRECTORY, name));
  const files = [...sources, join(DIRECTORY, 'attacker.h'), LINKER_SCRIPT];
  const key = digest(...FLAGS, ...files.map((file) => readFileSync(file, 'utf8')));
  return cached(`attacker-${key}`, (path) => {
    execFileSync('cc', [...FLAGS, '-o', path, ...sources], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  });
}

export interface Attack {
  readonly attacker: Attacker;
  /** What the victim had of xenstore meanwhile. */
  readonly experience: Experience;
}

export class Attacker {
  readonly domid: number;
  private readonly lab: Lab;
  private readonly guest: Guest;
  private readonly scene: Scene;
  private readonly deviceModel: Attacker | undefined;

  private constructor(lab: Lab, guest: Guest, scene: Scene, domid: number, deviceModel?: Attacker) {
    this.lab = lab;
    this.guest = guest;
    this.scene = scene;
    this.domid = domid;
    this.deviceModel = deviceModel;
  }

  /** Begins the attack and has the victim live beside it. Whoever calls discards the attacker. */
  static async attack(lab: Lab, scene: Scene, victim: Victim): Promise<Attack> {
    const attacker = await Attacker.create(lab, scene, victim);
    try {
      const experience = await attacker.beside(victim);
      if (scene.ends !== undefined || !(await attacker.isGone())) return { attacker, experience };
    } catch (error) {
      await attacker.discard();
      throw error;
    }
    throw new Error(`${attacker.guest.name} was gone before it was to end`);
  }

  /** Resolves once the attack has begun. */
  private static async create(lab: Lab, scene: Scene, victim: Victim): Promise<Attacker> {
    const name = `attacker-${scene.attack}`;
    if (scene.withDeviceModel === undefined) return Attacker.start(lab, scene, victim, name);
    const deviceModel = await Attacker.start(lab, scene, victim, `${name}-model`);
    const attacker = await Attacker.start(lab, scene, victim, name, deviceModel);
    await setTarget(lab, deviceModel.domid, attacker.domid);
    return attacker;
  }

  private static async start(
    lab: Lab,
    scene: Scene,
    victim: Victim,
    name: string,
    deviceModel?: Attacker,
  ): Promise<Attacker> {
    const guest = await Guest.create(lab, {
      name,
      type: 'pvh',
      kernel: kernel(),
      commandLine: `attack=${scene.attack} victim=${victim.domid}`,
      memory_mib: MEMORY_MIB,
      onReboot: scene.ends === 'restarted' ? 'restart' : 'destroy',
    });
    const domid = Number(await lab.run(['xl', 'domid', guest.name]));
    const attacker = new Attacker(lab, guest, scene, domid, deviceModel);
    const hasBegun = async () => /has begun/.exec(await attacker.console()) ?? undefined;
    try {
      await lab.waitFor(`attack of ${guest.name}`, hasBegun, BEGIN_LIMIT_MS);
    } catch (error) {
      // Or it would go on beside the attacks that follow.
      const said = await attacker.console();
      await attacker.discard();
      throw new Error(`${guest.name} said only:\n${said}`, { cause: error });
    }
    return attacker;
  }

  /** What it has written to its console, those before it with its name included. */
  console(): Promise<string> {
    return this.lab.run(`tr -d '\\r' </var/log/xen/console/guest-${this.guest.name}.log`);
  }

  /** What the victim sees of xenstore beside the attack. One that is to end does so meanwhile. */
  async beside(victim: Victim): Promise<Experience> {
    // Of 206, what the attacker writes all the time.
    const shared = this.scene.attack === '206' ? `/local/domain/${this.domid}/data/x` : 'name';
    const living = victim.live(MEASURE_MS, shared);
    if (this.scene.ends !== undefined) {
      // All at once: the command makes a transaction of it.
      const domids = [this.domid, ...(this.deviceModel ? [this.deviceModel.domid] : [])];
      const written = domids.flatMap((domid) => [`/local/domain/${domid}/data/go`, 'now']);
      await this.lab.run(['xenstore-write', ...written]);
    }
    return living;
  }

  /** What it uses of that which is limited, as `xenstore-control quota` says it. */
  async usage(): Promise<Map<string, number>> {
    const lines = await this.lab.run(['xenstore-control', 'quota', `${this.domid}`]);
    const figures = lines.matchAll(/^(\S+) *: *(\d+)/gm);
    return new Map([...figures].map(([, name = '', value]) => [name, Number(value)]));
  }

  /** Waits until its domain is no more. Another of the same name may follow it. */
  async end(): Promise<void> {
    const isGone = async () => (await this.isGone()) || undefined;
    await this.lab.waitFor(`end of ${this.guest.name}`, isGone, END_LIMIT_MS);
    await this.deviceModel?.end();
  }

  private async isGone(): Promise<boolean> {
    const { stdout } = await this.lab.attempt(['xl', 'domid', this.guest.name]);
    return Number(stdout) !== this.domid;
  }

  /** The domain that took its place once it had rebooted. */
  async successor(): Promise<Attacker> {
    await this.end();
    const domid = await this.lab.waitFor(
      `new ${this.guest.name}`,
      async () =>
        Number((await this.lab.attempt(['xl', 'domid', this.guest.name])).stdout) || undefined,
      END_LIMIT_MS,
    );
    return new Attacker(this.lab, this.guest, this.scene, domid);
  }

  /** Destroys the domain, or the one that took its place, if there still is one. */
  async discard(): Promise<void> {
    await this.lab.attempt(['xl', 'destroy', this.guest.name]);
    await this.deviceModel?.discard();
  }
}

/** Lends `target`'s rights to another domain, as libxl does for a device model; no command can. */
async function setTarget(lab: Lab, domid: number, target: number): Promise<void> {
  const payload = encodeStrings(`${domid}`, `${target}`);
  const request = { type: XS_SET_TARGET, requestId: 1, transactionId: 0, payload };
  const reply = encodePacket({ ...request, payload: encodeStrings('OK') });
  const said = await lab.run(`exec 3<>/dev/xen/xenbus && cat >&3 && head -c ${reply.length} <&3`, {
    input: latin1Decode(encodePacket(request)),
  });
  if (said !== latin1Decode(reply)) throw new Error(`SET_TARGET: ${JSON.stringify(said)}`);
}

/** Makes what the attacks need dom0 for: a large directory, and a place where everybody may write. */
export async function prepareStore(lab: Lab): Promise<void> {
  const children = Array.from({ length: 300 }, (_, index) => [
    `/large/a-rather-long-name-${index}`,
    '',
  ]);
  await lab.run(['xenstore-write', ...children.flat(), '/public', '']);
  await lab.run('xenstore-chmod /large r0 && xenstore-chmod /public b0');
}

export async function cleanStore(lab: Lab): Promise<void> {
  await lab.run('xenstore-rm /large /public');
}
