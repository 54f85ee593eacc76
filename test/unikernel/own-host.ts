/** xenstored and devices for programs under test that are in one domain with it, as its own peers. */
import type { Clock } from '../../src/base/clock.ts';
import type { Log } from '../../src/base/log.ts';
import type { Hypervisor } from '../../src/hypervisor/contract.ts';
import { XenstoreClient } from '../../src/xenstore/client.ts';
import { xenstoreRingStream } from '../../src/xenstore/ring-transport.ts';
import type { Xenstore } from '../../src/xenstore/xenstore.ts';
import { startXenstored, type XenstoredParts } from '../../src/xenstored/server.ts';

/** A client of a new xenstored, over a ring between the two. */
export function startOwnStore(
  hypervisor: Hypervisor,
  clock: Clock,
  log: Log,
  more: Pick<XenstoredParts, 'journal' | 'state'> = {},
): XenstoreClient {
  const { domid, grants, events } = hypervisor;
  const page = grants.share(domid, 1, 'read-write');
  const channel = events.allocateUnbound(domid);
  const xenstored = startXenstored({ hypervisor, clock, log, ...more });
  xenstored.attachKernelRing(
    grants.map(domid, page.refs),
    events.bindInterdomain(domid, channel.port),
  );
  return new XenstoreClient(xenstoreRingStream(page, channel, 'client'), clock);
}

/** Does what the toolstack does for a disk of the domain `domid` that is served there, too. */
export async function attachOwnDisk(
  store: Xenstore,
  domid: number,
  devid: number,
  params: string,
): Promise<void> {
  const home = `/local/domain/${domid}`;
  const front = `${home}/device/vbd/${devid}`;
  const back = `${home}/backend/vbd/${domid}/${devid}`;
  await store.transaction(async (nodes) => {
    const write = async (path: string, keys: Record<string, string>) => {
      for (const [key, value] of Object.entries(keys)) await nodes.write(`${path}/${key}`, value);
    };
    await write(front, { backend: back, 'backend-id': String(domid), state: '1' });
    const device = { frontend: front, 'frontend-id': String(domid), online: '1', state: '1' };
    await write(back, { ...device, params, mode: 'w' });
  });
}
