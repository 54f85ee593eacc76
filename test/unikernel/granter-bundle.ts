/**
 * One of two stub domains: it shares pages with the other, and revokes them while they are mapped.
 * Prints `ok` or `FAILED` with a statement for each thing that it sees.
 */
import { SHUTDOWN_crash, SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { sleep } from '../../src/base/clock.ts';
import { domId } from '../../src/base/ids.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { openUnikernelHypervisor } from '../../src/hypervisor/unikernel/hypervisor.ts';
import { checks } from './checks.ts';
import { appears, openStore } from './store.ts';
import {
  GRANTED,
  MAPPED,
  OFFER_PATH,
  type Offer,
  PEER_PATH,
  RESULT_PATH,
  REVOKED,
  SHARED_PAGES,
} from './two-domains.ts';

const loop = eventLoop();
const { xen } = loop;
const hypervisor = openUnikernelHypervisor();
const { check, failures } = checks(xen);

async function main(): Promise<void> {
  const store = openStore(hypervisor);
  const peer = domId(Number(await appears(store, PEER_PATH)));
  const shared = hypervisor.grants.share(peer, SHARED_PAGES, 'read-write');
  const readOnly = hypervisor.grants.share(peer, 1, 'read');
  const foreign = hypervisor.grants.share(domId(peer + 1000), 1, 'read-write');
  const channel = hypervisor.events.allocateUnbound(peer);
  for (let page = 0; page < SHARED_PAGES; page++) shared.page(page).set([GRANTED, page + 10]);
  readOnly.page(0)[7] = 77;

  const signalled = new Promise<void>((resolve) => channel.onEvent(resolve));
  const offer: Offer = {
    domid: hypervisor.domid,
    refs: shared.refs,
    readOnlyRef: readOnly.refs[0] as number,
    foreignRef: foreign.refs[0] as number,
    port: channel.port,
  };
  await store.write(OFFER_PATH, JSON.stringify(offer));
  await signalled;
  check('the mapper has written into every page', () =>
    [0, 1, 2].every(
      (page) => shared.page(page)[0] === MAPPED && shared.page(page)[1] === page + 20,
    ),
  );

  for (let page = 0; page < SHARED_PAGES; page++) shared.page(page)[0] = REVOKED;
  shared.close();
  const next = hypervisor.grants.share(peer, SHARED_PAGES, 'read-write');
  check('a page revoked while mapped is not shared again', () =>
    next.refs.every((ref) => !shared.refs.includes(ref)),
  );
  next.close();
  check('pages that are mapped are kept', () => xen.memory().lingering === SHARED_PAGES);
  channel.notify();

  await appears(store, RESULT_PATH);
  readOnly.close();
  foreign.close();
  for (let look = 0; look < 100 && xen.memory().lingering > 0; look++) await sleep(loop, 50);
  check('they are free once the mapper has let go', () => xen.memory().lingering === 0);
  xen.shutDown(failures() === 0 ? SHUTDOWN_poweroff : SHUTDOWN_crash);
}

void main();
