/**
 * What clients in dom0 have of xenstored, whatever domain it is in: through dom0's kernel. Runs in dom0;
 * takes one `StoreLoad` as JSON, prints the `StoreFigures`.
 */
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { connectXenstoreDevice, XENSTORE_DEVICE } from '../../src/node/xenstore-device.ts';
import type { XenstoreClient } from '../../src/xenstore/client.ts';
import { median } from './rounds.ts';

export interface StoreLoad {
  /** Of one client, one after the other, and of each of several at once. */
  readonly requests: number;
  /** Added at the end, and left there; none when 0. */
  readonly nodes: number;
}

export interface StoreFigures {
  /** Of one client. */
  readonly read_us: number;
  readonly write_us: number;
  /** Of several clients at once. */
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
  /** How long it took to add all nodes. */
  readonly adding_s: number;
}

const CLIENTS = 8;
/** One that has ended for lack of memory never answers. */
const ANSWER_MS_MAX = 30_000;
const NODES_EACH = 100;
const ROOT = '/bench';

const { requests, nodes }: StoreLoad = JSON.parse(process.argv[2] ?? '');
const indexes = (count: number) => Array.from({ length: count }, (_, index) => index);
const clients = indexes(CLIENTS).map(() => connectXenstoreDevice(loadNative(), XENSTORE_DEVICE));
const [first] = clients as [XenstoreClient];

function answered<Answer>(request: Promise<Answer>): Promise<Answer> {
  const fail = () => {
    process.stderr.write(`xenstored has not answered for ${ANSWER_MS_MAX / 1000} s\n`);
    process.exit(1);
  };
  const timer = setTimeout(fail, ANSWER_MS_MAX);
  return request.finally(() => clearTimeout(timer));
}

type Request = (client: XenstoreClient, path: string) => Promise<unknown>;
const read: Request = (client, path) => answered(client.read(path));
const write: Request = (client, path) => answered(client.write(path, 'value'));

async function latency_us(request: Request): Promise<number> {
  const times: number[] = [];
  for (let turn = 0; turn < requests; turn++) {
    const before = performance.now();
    await request(first, `${ROOT}/0`);
    times.push((performance.now() - before) * 1000);
  }
  return median(times) as number;
}

async function perSecond(request: Request): Promise<number> {
  const before = performance.now();
  const work = clients.map(async (client, index) => {
    for (let turn = 0; turn < requests; turn++) await request(client, `${ROOT}/${index}`);
  });
  await Promise.all(work);
  return (requests * CLIENTS * 1000) / (performance.now() - before);
}

/** Small nodes as guests have them: a value of a few bytes, a hundred in each directory. */
async function add_s(): Promise<number> {
  const before = performance.now();
  for (const index of indexes(nodes)) {
    const path = `${ROOT}/many/${Math.floor(index / NODES_EACH)}/key-${index % NODES_EACH}`;
    await answered(first.write(path, `value-${index % 10}`));
  }
  return (performance.now() - before) / 1000;
}

for (const index of indexes(CLIENTS)) await write(first, `${ROOT}/${index}`);
const figures: StoreFigures = {
  read_us: await latency_us(read),
  write_us: await latency_us(write),
  readsPerSecond: await perSecond(read),
  writesPerSecond: await perSecond(write),
  adding_s: await add_s(),
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
for (const client of clients) client.close();
process.exit();
