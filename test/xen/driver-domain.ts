/** Driver domains in the lab, which `paravane run driver-domain` keeps, and what guests go through with them. */
import { expect } from 'vitest';
import type { Guest, GuestType } from '../../scripts/lab/guest.ts';
import { type Host, startOurs } from '../../scripts/lab/host.ts';
import type { Lab } from '../../scripts/lab/lab.ts';
import type { DomZeroProcess } from '../../scripts/lab/process.ts';
import { debianKernel } from '../../src/dom0/image/debian-kernel.ts';

/** Emulated, a domain that is made again takes a minute. */
const LIMIT_MS = 300_000;
const PACKING_LIMIT_MS = 200_000;

/** One of the two forms that a driver domain has. */
export interface DriverDomainForm {
  readonly type: GuestType;
  /** Lines of its configuration. */
  readonly boot: readonly string[];
  /** What it says once it serves. */
  readonly ready: RegExp;
  /** The name of its own xvda for guests. */
  readonly target: string;
}

/** @param image path of what `paravane build blkback` has made */
export const unikernel = (image: string, memory_mib = 16): DriverDomainForm => ({
  type: 'pvh',
  boot: [`kernel="${image}"`, `memory=${memory_mib}`, 'shadow_memory=2'],
  ready: / ready domid=/,
  target: 'vbd:51712',
});

/** @param image path of what `paravane build blkback --runtime linux` has made */
export const linux = (image: string, memory_mib = 384): DriverDomainForm => ({
  type: 'pvh',
  boot: [
    `kernel="${debianKernel().image}"`,
    `ramdisk="${image}"`,
    'extra="console=hvc0 quiet panic=-1"',
    `memory=${memory_mib}`,
    'on_reboot="destroy"',
  ],
  ready: /blkback is ready/,
  target: '/dev/xvda',
});

/** The same, for a domain that has its disks in its memory. PV: beside others, it is faster in an emulator. */
export const linuxWithDisks = (image: string, memory_mib: number): DriverDomainForm => ({
  ...linux(image, memory_mib),
  type: 'pv',
});

/** The configuration for xl. */
export function driverDomainConfig(
  name: string,
  { type, boot }: DriverDomainForm,
  disks: readonly string[],
): string {
  return [
    `name="${name}"`,
    `type="${type}"`,
    ...boot,
    'on_crash="destroy"',
    'vcpus=1',
    'driver_domain=1',
    `disk=[ ${disks.map((disk) => `"${disk}"`).join(', ')} ]`,
    '',
  ].join('\n');
}

/**
 * The initramfs of a driver domain on Linux with the files of a directory of dom0 beside what is in it;
 * the directory is gone then. Linux takes several archives, one after the other. Xen's domain builder
 * unpacks what begins as a gzip file, and of several only the first: so an archive with nothing in it, as
 * it is, comes before them. Resolves with its path in dom0.
 */
export async function withFiles(lab: Lab, initramfs: string, directory: string): Promise<string> {
  const path = '/run/with-files.initramfs';
  await lab.run(
    `set -o pipefail; pack() { cpio --create --format=newc --quiet; }
     { pack </dev/null && cat ${initramfs} && ls | pack | gzip -1; } >${path} && rm -r ${directory}`,
    { cwd: directory, timeout_ms: PACKING_LIMIT_MS },
  );
  return path;
}

/** A disk line for xl with the back end of the driver domain of that name. */
export const servedDisk = (backend: string, target: string, vdev = 'xvda') =>
  `format=raw,vdev=${vdev},access=rw,backend=${backend},target=${target}`;

export class DriverDomain {
  readonly name: string;
  private readonly host: Host;
  private readonly keeper: DomZeroProcess;

  private constructor(host: Host, name: string, keeper: DomZeroProcess) {
    this.host = host;
    this.name = name;
    this.keeper = keeper;
  }

  /** Resolves once the domain serves. */
  static start(
    host: Host,
    name: string,
    form: DriverDomainForm,
    disks: readonly string[] = [],
  ): Promise<DriverDomain> {
    return DriverDomain.keep(host, name, driverDomainConfig(name, form, disks), form.ready);
  }

  /**
   * The same with xl's configuration as a whole.
   *
   * @param ready what the domain says at its console once it serves
   */
  static async keep(
    host: Host,
    name: string,
    config: string,
    ready: RegExp,
  ): Promise<DriverDomain> {
    const path = `/run/${name}.cfg`;
    await host.lab.run(`rm -f /var/log/xen/console/guest-${name}.log`);
    await host.lab.run(`cat >${path}`, { input: config });
    const keeper = await startOurs(host.lab, 'driver-domain', '--config', path);
    const domain = new DriverDomain(host, name, keeper);
    const look = async () => ready.test(await domain.console()) || undefined;
    await domain.explain(host.lab.waitFor(`readiness of ${name}`, look, LIMIT_MS));
    return domain;
  }

  async domid(): Promise<number> {
    return Number(await this.host.lab.run(['xl', 'domid', this.name]));
  }

  /** All that the domain has printed, each time that it was made. */
  async console(): Promise<string> {
    return (await this.host.lab.attempt(`cat /var/log/xen/console/guest-${this.name}.log`)).stdout;
  }

  /** Adds the domain's console, and what processors all domains have had, to what `work` rejects with. */
  async explain<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work;
    } catch (error) {
      const { stdout } = await this.host.lab.attempt(
        "timeout 30 xl vcpu-list; timeout 30 xenstore-exists /tool || echo 'xenstored does not answer'",
      );
      const seen = `--- console of ${this.name} ---\n${await this.console()}\n${stdout}`;
      throw new Error(`${error}\n${seen}`);
    }
  }

  /** Destroys the domain and resolves once its keeper has made it again. */
  async destroy(): Promise<void> {
    const from = this.keeper.output.length;
    await this.host.lab.run(['xl', 'destroy', this.name], { timeout_ms: LIMIT_MS });
    await this.keeper.waitFor(new RegExp(`domain ${this.name} runs`), LIMIT_MS, from);
  }

  /** Ends the keeper, if it is still there. */
  async forsake(): Promise<void> {
    await this.keeper.stop();
  }

  /** Ends the domain for good, and its keeper. */
  async shutdown(): Promise<void> {
    const { lab } = this.host;
    await lab.run(['xl', 'shutdown', '--wait', this.name], { timeout_ms: LIMIT_MS });
    await lab.run(
      `while xenstore-exists /tool/paravane/driver-domain/${this.name}; do sleep 1; done`,
    );
    await this.keeper.stop();
  }
}

/** Writes files of random bytes, one after the other, and says so; then compares what is on the disk. */
const LOAD = [
  'cd /mnt',
  'for n in 1 2 3 4; do head -c 2097152 /dev/urandom >/tmp/now',
  'cp /tmp/now file-$n && sync && sha256sum </tmp/now >>/tmp/sums && echo WROTE-$n; done',
  'cd / && umount /mnt && mount -t ext4 /dev/xvda /mnt',
  'for n in 1 2 3 4; do sha256sum </mnt/file-$n; done | cmp - /tmp/sums && umount /mnt && echo LOAD-$((1))-SAME',
].join('; ');

/** Destroys the driver domain twice while the guest works on its disk, and finds all data there. */
export async function destroyUnderLoad(driver: DriverDomain, guest: Guest): Promise<void> {
  await guest.run('mount -t ext4 /dev/xvda /mnt');
  await guest.type(LOAD, /WROTE-1/);
  for (const moment of [/WROTE-1/, /WROTE-2/]) {
    await guest.shows(moment);
    await driver.destroy();
  }
  const [result] = await guest.shows(/LOAD-1-SAME|differ/);
  expect(result).toBe('LOAD-1-SAME');
}
