/**
 * Vchans from domain to domain on real Xen, ours with libxenvchan's: rings of every size, 1 byte to
 * 64 MiB, and ends that are killed while bytes flow.
 */
import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Guest } from '../../scripts/lab/guest.ts';
import type { Host, Traces } from '../../scripts/lab/host.ts';
import { RING_ORDERS } from '../vchan/ring-orders.ts';
import { sharedHost } from './shared-lab.ts';
import { makePrograms, OURS, startProgramGuest, THEIRS, type VchanPrograms } from './vchan-lab.ts';

const MOST = 64 << 20;
const LIMIT_MS = 300_000;
const KILL_AFTER_MS_MAX = 1500;
/** A kernel lends 1024 pages at first, and rings of all sizes at once are more. */
const LEND_MORE = 'echo 8192 >/sys/module/xen_gntalloc/parameters/limit';

/** Where dom0's servers have their keys. */
const DOM0_DATA = '/local/domain/0/data';

type Shows = (pattern: RegExp) => Promise<RegExpExecArray>;

/** Where an end of a vchan can be. */
interface Place {
  readonly domid: string;
  /** Runs a command of its shell to the end. Rejects unless its exit status is 0. */
  run(command: string): Promise<string>;
  /** Starts one; resolves with what waits for its output. */
  start(command: string): Shows;
}

let host: Host;
let programs: VchanPrograms;
let before: Traces;
const guests: Guest[] = [];
const places: { [name: string]: Place } = {};

function domainZero({ lab }: Host): Place {
  return {
    domid: '0',
    run: (command) => lab.run(command, { timeout_ms: LIMIT_MS }),
    start(command) {
      const process = lab.start(command);
      return (pattern) => process.waitFor(pattern, LIMIT_MS);
    },
  };
}

async function guestPlace({ lab }: Host, name: string): Promise<Place> {
  const { guest, domid } = await startProgramGuest(lab, name, programs.disk);
  guests.push(guest);
  return {
    domid,
    run: (command) => guest.run(command),
    start(command) {
      const console = guest.console();
      const from = console.output.length;
      console.write(`${command} &\r`);
      return (pattern) => console.waitFor(pattern, LIMIT_MS, from);
    },
  };
}

beforeAll(async () => {
  programs = makePrograms();
  host = await sharedHost();
  // What libxenvchan's servers have left that were killed in another file's tests.
  await host.lab.attempt(['xenstore-rm', DOM0_DATA]);
  before = await host.traces();
  places.dom0 = domainZero(host);
  places['guest one'] = await guestPlace(host, 'vchan-one');
  places['guest two'] = await guestPlace(host, 'vchan-two');
  for (const place of Object.values(places)) await place.run(LEND_MORE);
});
afterAll(() => rmSync(programs.directory, { recursive: true }));

const pathAt = (server: Place, client: Place, port: string) =>
  `/local/domain/${server.domid}/data/vchan/${client.domid}/${port}`;

/** Waits until a server stands at `path`. */
async function offered(path: string): Promise<void> {
  await host.lab.waitFor(
    `vchan at ${path}`,
    async () => {
      const { code } = await host.lab.attempt(['xenstore-exists', `${path}/ring-ref`]);
      return code === 0 || undefined;
    },
    LIMIT_MS,
  );
}

const linesOf = (output: string) => output.match(/^whole .*\w/gm);

/** Ways between domains: where the server is, and where its client. */
const ways = [
  ['guest one', 'dom0'],
  ['dom0', 'guest one'],
  ['guest one', 'guest two'],
] as const;

describe.each(ways)('the server in %s, the client in %s', (serverName, clientName) => {
  const ends = () => [places[serverName]!, places[clientName]!] as const;

  test("libxenvchan's client through our rings of every size", async () => {
    const [server, client] = ends();
    const path = pathAt(server, client, 'ours');
    const { rings, flow } = programs;
    const shows = server.start(`${process.execPath} ${rings} offer ${client.domid} ${path}`);
    const [, pid] = await shows(/all sizes are offered by (\d+)/);
    for (const order of RING_ORDERS) {
      const command = `${THEIRS} --mode=client ${server.domid} ${path}-${order} -`;
      for (const length of [1, 2 * 2 ** order + 1]) {
        const output = await client.run(`sh ${flow} whole '${command}' ${length}`);
        expect(linesOf(output)).toEqual([`whole ${length}`]);
      }
    }
    const largest = `${THEIRS} --mode=client ${server.domid} ${path}-${RING_ORDERS.at(-1)} -`;
    const output = await client.run(`sh ${flow} whole '${largest}' ${MOST}`);
    expect(linesOf(output)).toEqual([`whole ${MOST}`]);
    await server.run(`kill ${pid}`);
    await shows(/none is offered any more/);
  });

  test("our client through libxenvchan's rings of every size", async () => {
    const [server, client] = ends();
    const path = pathAt(server, client, 'theirs');
    for (const order of RING_ORDERS) {
      const size = 2 ** order;
      const words = `server ${client.domid} ${path}-${order} echo ${size} ${size}`;
      server.start(`${programs.cEnd} ${words}`);
      await offered(`${path}-${order}`);
    }
    const visit = `${process.execPath} ${programs.rings} visit ${server.domid} ${path} ${MOST}`;
    const lines = linesOf(await client.run(visit));
    expect(lines).toHaveLength(RING_ORDERS.length);
    expect(lines?.at(-1)).toContain(`${MOST}`);
  });

  const implementations = [
    ['our server', 'their client'],
    ['their server', 'our client'],
  ];
  test.each(implementations)(
    'whichever is killed, %s or %s, the other ends',
    async (implementation) => {
      const [server, client] = ends();
      const isOurs = implementation === 'our server';
      for (const victim of ['server', 'client']) {
        const port = `${isOurs ? 'ours' : 'theirs'}-${victim}`;
        const path = pathAt(server, client, port);
        const [serverCommand, clientCommand] = isOurs
          ? [`${OURS} listen ${client.domid} ${path} -`, `${THEIRS} --mode=client`]
          : [`${THEIRS} --mode=server ${client.domid} ${path} -`, `${OURS} connect`];
        const ofServer = server.start(`sh ${programs.flow} endless server '${serverCommand}'`);
        await offered(path);
        const connect = `${clientCommand} ${server.domid} ${path} -`;
        const ofClient = client.start(`sh ${programs.flow} endless client '${connect}'`);
        const serverId = await ofServer(/server is (\d+)/);
        const clientId = await ofClient(/client is (\d+)/);
        await Promise.all([ofServer(/server flows/), ofClient(/client flows/)]);
        await delay(Math.random() * KILL_AFTER_MS_MAX);
        if (victim === 'server') await server.run(`kill -9 ${serverId[1]}`);
        else await client.run(`kill -9 ${clientId[1]}`);
        await Promise.all([ofServer(/server has ended/), ofClient(/client has ended/)]);
        // Where a server offers no second vchan, ours has withdrawn the keys; libxenvchan's stay.
        if (victim === 'server' && !isOurs) await host.lab.run(['xenstore-rm', path]);
      }
    },
  );
});

test('nothing of them is left when the guests are gone', async () => {
  const keys = `${DOM0_DATA}/vchan/${places['guest one']!.domid}`;
  expect(await host.lab.run(['xenstore-list', keys])).toBe('');
  await host.lab.run(['xenstore-rm', DOM0_DATA]);
  for (const guest of guests) await guest.destroy();
  expect(await host.leftovers(before)).toEqual([]);
});
