/** xenstored beside C's xenstored and oxenstored of Debian's Xen 4.17, all run natively. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  XS_DIRECTORY_PART,
  XS_MKDIR,
  XS_READ,
  XS_RM,
  XS_WATCH,
  XS_WRITE,
} from '../../src/abi/io/xs_wire.ts';
import { encodeStringAndValue, encodeStrings } from '../../src/xenstore/packet.ts';
import { removeGuest, startGuest } from './guest-start.ts';
import { type Part, type Phase, type Played, Player, request } from './player.ts';
import {
  type BenchOptions,
  type Figures,
  measureInTurns,
  median,
  type Quantity,
  type Row,
} from './rounds.ts';
import { DAEMON_CPU, Daemon, type DaemonSide } from './xenstored-daemons.ts';

/** Where the clients of a daemon run that is to be kept busy. */
const CLIENTS_CPU = 0;

const SIDES: readonly DaemonSide[] = ['ours', 'c', 'ocaml'];

interface Counts {
  readonly rounds: number;
  /** Of each of test-xenstore's rows. */
  readonly iterations: number;
  /** Requests of each of the clients that work at once. */
  readonly requests: number;
  /** Writes by the client that is measured beside others who watch. */
  readonly writes: number;
  /** How often all guests start in a round. */
  readonly guestStarts: number;
  readonly memoryNodes: number;
}

const COUNTS: Counts = {
  rounds: 5,
  iterations: 3000,
  requests: 1500,
  writes: 500,
  guestStarts: 5,
  memoryNodes: 100_000,
};
const QUICK_COUNTS: Counts = {
  rounds: 1,
  iterations: 200,
  requests: 20,
  writes: 50,
  guestStarts: 1,
  memoryNodes: 10_000,
};

const CLIENTS = 64;
const GUESTS = 32;
const WATCHERS: readonly number[] = [1, 10, 100, 1000];
const WATCHES_EACH = 30;
const CHILDREN = 10_000;
const CHILDREN_STEP = 1000;

const writeNode = (path: string, value: string) =>
  request(XS_WRITE, encodeStringAndValue(path, value));
const readNode = (path: string) => request(XS_READ, encodeStrings(path));
const removeNode = (path: string) => request(XS_RM, encodeStrings(path));
const indexes = (count: number) => Array.from({ length: count }, (_, index) => index);

/** What one daemon is put through in one round, and what comes of it. */
class Course {
  private readonly daemon: Daemon;
  private readonly player: Player;
  private readonly counts: Counts;
  private readonly figures = new Map<string, number>();

  constructor(daemon: Daemon, player: Player, counts: Counts) {
    this.daemon = daemon;
    this.player = player;
    this.counts = counts;
  }

  async run(): Promise<Figures> {
    this.testXenstore();
    await this.manyClients();
    for (const connections of WATCHERS) await this.watchers(connections);
    await this.guestStarts();
    await this.largeDirectory();
    return this.figures;
  }

  /** What a journal is a burden for. */
  async runChanges(): Promise<Figures> {
    await this.manyClients();
    await this.guestStarts();
    return this.figures;
  }

  /** Debian's own benchmark: one client, a request at a time, on the daemon's processor. */
  testXenstore(): void {
    const { stdout, stderr, status } = spawnSync(
      'taskset',
      ['--cpu-list', `${DAEMON_CPU}`, TEST_XENSTORE, '-i', `${this.counts.iterations}`],
      { env: { ...process.env, XENSTORED_PATH: this.daemon.socket }, encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(`test-xenstore: ${stdout}${stderr}`);
    for (const [, name = '', average_ns] of stdout.matchAll(/^(.{10}): avg:\s*(\d+) ns/gm)) {
      this.figures.set(`a: ${name.trim()}`, Number(average_ns) / 1000);
    }
  }

  private async manyClients(): Promise<void> {
    const paths = indexes(CLIENTS).map((client) => `/bench/clients/${client}`);
    const times = this.counts.requests;
    const [, reads, writes] = await this.play(CLIENTS_CPU, [
      paths.map((path) => ({ packets: [writeNode(path, 'value')] })),
      paths.map((path) => ({ packets: [readNode(path)], times })),
      paths.map((path) => ({ packets: [writeNode(path, 'other')], times })),
      [{ packets: [removeNode('/bench')] }],
    ]);
    this.set('b: 64 clients read', reads, ({ requests, seconds }) => requests / seconds);
    this.set('b: 64 clients write', writes, ({ requests, seconds }) => requests / seconds);
  }

  private async watchers(connections: number): Promise<void> {
    const watch = (client: number): Part => ({
      packets: indexes(WATCHES_EACH).map((index) =>
        request(XS_WATCH, encodeStrings(`/bench/watched/${client}/${index}`, `${index}`)),
      ),
    });
    const [, , writes] = await this.play(DAEMON_CPU, [
      indexes(connections).map(watch),
      [{ packets: [writeNode('/bench/node', 'warm')], times: 50 }],
      [{ packets: [writeNode('/bench/node', 'value')], times: this.counts.writes }],
      [{ packets: [removeNode('/bench')] }],
    ]);
    this.set(watchersName(connections), writes, perRequest);
    const alone = this.figures.get(watchersName(1));
    const now = this.figures.get(watchersName(connections));
    if (connections === 1000 && alone && now) this.figures.set(WATCHERS_GROWTH, now / alone);
  }

  private async guestStarts(): Promise<void> {
    const domids = indexes(GUESTS).map((index) => index + 1);
    const rooms = ['/local/domain/0/backend', '/vm', '/libxl'];
    const again: Phase[] = [
      domids.map((domid) => ({ packets: startGuest(domid) })),
      [{ packets: domids.flatMap(removeGuest) }],
    ];
    const [, ...played] = await this.play(CLIENTS_CPU, [
      [{ packets: rooms.map((path) => writeNode(path, '')) }],
      ...indexes(this.counts.guestStarts).flatMap(() => again),
      [{ packets: [removeNode('/vm'), removeNode('/libxl')] }],
    ]);
    const starts = indexes(this.counts.guestStarts).map((time) => played[2 * time] as Played);
    const typical = (figure: (start: Played) => number) => median(starts.map(figure)) as number;
    this.set('d: 32 guests start', starts[0], () => typical(({ seconds }) => GUESTS / seconds));
    this.set('d: retries', starts[0], () => typical(({ retries }) => retries));
  }

  private async largeDirectory(): Promise<void> {
    const name = (index: number) => `/bench/child-${String(index).padStart(5, '0')}`;
    const addAll: Phase[] = indexes(CHILDREN / CHILDREN_STEP).map((step) => [
      { packets: indexes(CHILDREN_STEP).map((i) => writeNode(name(step * CHILDREN_STEP + i), '')) },
    ]);
    const few = await this.play(DAEMON_CPU, [
      [{ packets: [request(XS_MKDIR, encodeStrings('/bench'))] }],
      ...addAll.slice(0, 1),
      [{ packets: listing(CHILDREN_STEP), times: 10 }],
    ]);
    const many = await this.play(DAEMON_CPU, [
      ...addAll.slice(1),
      [{ packets: listing(CHILDREN) }],
      [{ packets: [removeNode('/bench')] }],
    ]);
    this.set('e: add a child, first 1,000', few[1], perRequest);
    this.set('e: add a child, last 1,000', many[addAll.length - 2], perRequest);
    const perChild = (played: Played, listed: number) => (played.seconds * 1e6) / listed;
    this.set('e: list 1,000, per child', few[2], (it) => perChild(it, 10 * CHILDREN_STEP));
    this.set('e: list 10,000, per child', many[addAll.length - 1], (it) => perChild(it, CHILDREN));
  }

  private async play(cpu: number, phases: readonly Phase[]): Promise<Played[]> {
    return await this.player.play(this.daemon.socket, cpu, phases);
  }

  /** Takes down a figure, unless the daemon does not know such requests. */
  private set(name: string, played: Played | undefined, figure: (played: Played) => number): void {
    if (played !== undefined && played.errors === 0) this.figures.set(name, figure(played));
  }
}

const TEST_XENSTORE = '/usr/lib/xen-4.17/bin/test-xenstore';
const WATCHERS_GROWTH = 'c: write, 1,000 connections over 1';
const watchersName = (connections: number) =>
  `c: write, ${connections.toLocaleString('en')} connections`;
const perRequest = ({ seconds, requests }: Played) => (seconds * 1e6) / requests;

/** Requests that list `/bench` in parts, each at an offset where a name of 11 letters begins. */
function listing(children: number): Uint8Array[] {
  const nameSize = 12;
  // A reply also tells the generation, in digits that a daemon may have up to 20 of.
  const step = nameSize * Math.floor((4096 - 32) / nameSize);
  return indexes(Math.ceil((children * nameSize) / step)).map((part) =>
    request(XS_DIRECTORY_PART, encodeStrings('/bench', `${part * step}`)),
  );
}

/** Small nodes as guests have them: a hundred in each directory, with a value of a few bytes. */
function memoryPhase(nodes: number): Phase {
  return [
    {
      packets: indexes(nodes).map((index) =>
        writeNode(`/bench/${Math.floor(index / 100)}/key-${index % 100}`, `value-${index % 10}`),
      ),
    },
  ];
}

const row = (name: string, unit: string, better: 'lower' | 'higher' = 'lower'): Quantity => ({
  name,
  unit,
  better,
});

const QUANTITIES: readonly Quantity[] = [
  ...['read 1', 'read 2000', 'write 1', 'write 2000', 'dir', 'rm node', 'rm dir', 'ta empty'],
  ...['ta empty x', 'ta rmw', 'ta rmw x', 'ta err'],
].map((name) => row(`a: ${name}`, 'us'));
/** Those that are measured again with a daemon of ours that keeps a journal, as no peer does. */
const JOURNALLED = ['b: 64 clients write', 'd: 32 guests start'];
const withJournal = (name: string) => `${name}, ours with a journal`;
const COURSE_QUANTITIES: readonly Quantity[] = [
  ...QUANTITIES,
  row('b: 64 clients read', 'requests/s', 'higher'),
  row('b: 64 clients write', 'requests/s', 'higher'),
  ...WATCHERS.map((connections) => row(watchersName(connections), 'us')),
  row(WATCHERS_GROWTH, 'times'),
  row('d: 32 guests start', 'guests/s', 'higher'),
  row('d: retries', 'transactions'),
  ...JOURNALLED.map((name) => row(withJournal(name), 'per second', 'higher')),
  row('e: add a child, first 1,000', 'us'),
  row('e: add a child, last 1,000', 'us'),
  row('e: list 1,000, per child', 'us'),
  row('e: list 10,000, per child', 'us'),
];
const MEMORY = row('f: memory of 100,000 small nodes', 'MiB');

async function benchCourse(directory: string, player: Player, counts: Counts): Promise<Row[]> {
  const daemons: Daemon[] = [];
  try {
    for (const side of SIDES) daemons.push(await Daemon.start(side, join(directory, side)));
    const journalled = await Daemon.start('ours', join(directory, 'journalled'), { journal: true });
    const courses = daemons.map((daemon) => ({
      side: daemon.side,
      run: async (): Promise<Figures> => {
        const figures = await new Course(daemon, player, counts).run();
        const changes =
          daemon.side === 'ours'
            ? await new Course(journalled, player, counts).runChanges()
            : figures;
        const again = JOURNALLED.flatMap((name) => {
          const figure = changes.get(name);
          return figure === undefined ? [] : [[withJournal(name), figure] as const];
        });
        return new Map([...figures, ...again]);
      },
    }));
    daemons.push(journalled);
    // A daemon is used for weeks; how it does in its first seconds is of no interest.
    for (const { side, run } of courses) {
      process.stderr.write(`warming up: ${side}\n`);
      await run();
    }
    const contestants = courses.map(({ side, run }) => ({ side, measure: run }));
    return await measureInTurns(COURSE_QUANTITIES, contestants, counts.rounds);
  } finally {
    for (const daemon of daemons) await daemon.close();
  }
}

/** Each with a daemon that has just begun, since memory once taken is seldom given back. */
async function benchMemory(directory: string, player: Player, counts: Counts): Promise<Row[]> {
  const contestants = SIDES.map((side) => ({
    side,
    measure: async () => {
      const daemon = await Daemon.start(side, join(directory, side));
      try {
        const nodes = counts.memoryNodes;
        const play = (phases: Phase[]) => player.play(daemon.socket, CLIENTS_CPU, phases);
        await play([memoryPhase(1000), [{ packets: [removeNode('/bench')] }]]);
        const before_KiB = daemon.rss_KiB();
        await play([memoryPhase(nodes)]);
        const used_MiB = (daemon.rss_KiB() - before_KiB) / 1024;
        return new Map([[MEMORY.name, (used_MiB * 100_000) / nodes]]);
      } finally {
        await daemon.close();
      }
    },
  }));
  return await measureInTurns([MEMORY], contestants, 1);
}

export async function benchXenstored({ quick }: BenchOptions): Promise<Row[]> {
  const counts = quick ? QUICK_COUNTS : COUNTS;
  const directory = mkdtempSync(join(tmpdir(), 'bench-xenstored-'));
  try {
    const [course, memory] = [join(directory, 'course'), join(directory, 'memory')];
    for (const part of [course, memory]) mkdirSync(part);
    const player = new Player(directory);
    return [
      ...(await benchCourse(course, player, counts)),
      ...(await benchMemory(memory, player, counts)),
    ];
  } finally {
    rmSync(directory, { recursive: true });
  }
}
