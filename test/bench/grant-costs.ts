/**
 * What it costs dom0 to reach granted pages by mapping them and by having Xen copy them, for requests
 * of different sizes. Runs in dom0, which grants to itself; prints microseconds as JSON.
 */
import { grantRef } from '../../src/base/ids.ts';
import { PAGE_SIZE } from '../../src/hypervisor/contract.ts';
import { openLinuxHypervisor } from '../../src/hypervisor/linux/hypervisor.ts';

const PAGES = [1, 4, 11, 32, 256];
const REPEATS = 40;

const hypervisor = openLinuxHypervisor();
const { grants, domid } = hypervisor;
const shared = grants.share(domid, Math.max(...PAGES), 'read-write');
const refs = shared.refs.map(grantRef);
const local = refs.map(() => new Uint8Array(PAGE_SIZE));
const batch = grants.copyBatch(refs.length);

function map(count: number): void {
  const pages = grants.map(domid, refs.slice(0, count));
  // As a disk would: every byte is touched once.
  for (let page = 0; page < count; page++) local[page]!.set(pages.page(page));
  pages.close();
}

function copy(count: number): void {
  for (let page = 0; page < count; page++) batch.fromPeer(domid, refs[page]!, 0, local[page]!);
  if (batch.run() > 0) throw new Error('Xen refused a copy');
}

function cost_us(work: () => void): number {
  work();
  const times = Array.from({ length: REPEATS }, () => {
    const before = performance.now();
    work();
    return (performance.now() - before) * 1000;
  });
  return times.sort((a, b) => a - b)[REPEATS / 2]!;
}

const costs = PAGES.map((count) => ({
  pages: count,
  map_us: cost_us(() => map(count)),
  copy_us: cost_us(() => copy(count)),
}));
process.stdout.write(`${JSON.stringify(costs)}\n`);
hypervisor.close();
