/** A stock Linux guest that lives on xenstore, and tells how well it does. */
import { join } from 'node:path';
import { CHECKOUT } from '../../scripts/lab/debian.ts';
import { Guest } from '../../scripts/lab/guest.ts';
import { guestInitramfs, guestProgram } from '../../scripts/lab/initramfs.ts';
import type { Lab } from '../../scripts/lab/lab.ts';

const NAME = 'victim';
const PROGRAM = 'xenstore-latency';

const INIT = `
PS1='victim# '
export PS1
while true; do setsid cttyhack sh; done
`;

/** What the guest saw of xenstore in a while. Times are of single reads. */
export interface Experience {
  readonly reads: number;
  /** Reads with an error or another value than was there. */
  readonly wrong: number;
  readonly median_us: number;
  readonly p99_us: number;
  readonly max_us: number;
  /** Transactions: those that ended well, those that met EAGAIN, and those with any other error. */
  readonly committed: number;
  readonly conflicted: number;
  readonly failed: number;
}

export class Victim {
  readonly guest: Guest;
  readonly domid: number;

  private constructor(guest: Guest, domid: number) {
    this.guest = guest;
    this.domid = domid;
  }

  static async create(lab: Lab): Promise<Victim> {
    const source = join(CHECKOUT, 'test/xen/guest-programs', `${PROGRAM}.c`);
    const ramdisk = guestInitramfs(INIT, [guestProgram(source)]);
    const guest = await Guest.create(lab, { name: NAME, type: 'pv', ramdisk });
    await guest.shows(/victim# /);
    return new Victim(guest, Number(await lab.run(['xl', 'domid', NAME])));
  }

  /**
   * Reads for a while, with a transaction now and then.
   *
   * @param shared a node that the transactions read
   */
  async live(time_ms: number, shared = 'name'): Promise<Experience> {
    const answer = await this.guest.type(
      `${PROGRAM} name ${NAME} ${time_ms} ${shared}`,
      /LATENCY reads=[^.]*\./,
    );
    const figure = (name: string) => Number(new RegExp(` ${name}=(\\d+)`).exec(answer[0])?.[1]);
    return {
      reads: figure('reads'),
      wrong: figure('wrong'),
      median_us: figure('median_us'),
      p99_us: figure('p99_us'),
      max_us: figure('max_us'),
      committed: figure('committed'),
      conflicted: figure('conflicted'),
      failed: figure('failed'),
    };
  }
}
