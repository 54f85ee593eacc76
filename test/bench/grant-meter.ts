/**
 * Counts what dom0's kernel asks of Xen for other domains' pages, whoever wanted it: probes at the three
 * functions through which all of that goes, its own back ends' work and that of programs with gntdev.
 */
import type { Lab } from '../../scripts/lab/lab.ts';

const TRACING = '/sys/kernel/tracing';
const GROUP = 'grant_meter';

/** Kernel functions, and the register in which each is given the number of pages (System V ABI). */
const PROBES = [
  { name: 'map', at: 'gnttab_map_refs', pages: '%cx' },
  { name: 'unmap', at: 'gnttab_unmap_refs', pages: '%cx' },
  { name: 'copy', at: 'gnttab_batch_copy', pages: '%si' },
] as const;

export interface GrantCount {
  /** Hypercalls; a batch is one. */
  readonly calls: number;
  /** Pages mapped, unmapped or copied by them. */
  readonly pages: number;
}

export class GrantMeter {
  private readonly lab: Lab;

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  /** Sets the probes, for as long as the lab is up. */
  static async start(lab: Lab): Promise<GrantMeter> {
    await lab.run(`mountpoint -q ${TRACING} || mount -t tracefs tracefs ${TRACING}`);
    for (const { name, at, pages } of PROBES) {
      await lab.run(
        `echo 'p:${GROUP}/${name} ${at} pages=${pages}:u32' >>${TRACING}/kprobe_events`,
      );
      // A histogram over the number of pages: nothing is written for each call.
      await lab.run(`echo hist:keys=pages >${TRACING}/events/${GROUP}/${name}/trigger`);
    }
    return new GrantMeter(lab);
  }

  /** Since the probes were set. */
  async read(): Promise<GrantCount> {
    const text = await this.lab.run(`cat ${TRACING}/events/${GROUP}/*/hist`);
    let calls = 0;
    let pages = 0;
    for (const [, size, hits] of text.matchAll(/\{ pages: +(\d+) \} hitcount: +(\d+)/g)) {
      calls += Number(hits);
      pages += Number(size) * Number(hits);
    }
    return { calls, pages };
  }
}
