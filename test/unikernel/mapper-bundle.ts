/** The other of two stub domains: it maps and copies what the first has granted to it. */
import { SHUTDOWN_crash, SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { sleep } from '../../src/base/clock.ts';
import { errorCode } from '../../src/base/errors.ts';
import { domId, eventPort, type GrantRef, grantRef } from '../../src/base/ids.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { openUnikernelHypervisor } from '../../src/hypervisor/unikernel/hypervisor.ts';
import { checks } from './checks.ts';
import { appears, openStore } from './store.ts';
import {
  GRANTED,
  MAPPED,
  OFFER_PATH,
  type Offer,
  RESULT_PATH,
  REVOKED,
  SHARED_PAGES,
} from './two-domains.ts';

const loop = eventLoop();
const { xen } = loop;
const hypervisor = openUnikernelHypervisor();
const { check, failures } = checks(xen);

/** The code with which the map of these is refused; nothing is kept mapped. */
function refusal(peer: number, refs: readonly GrantRef[]): string | undefined {
  try {
    hypervisor.grants.map(domId(peer), refs).close();
    return undefined;
  } catch (error) {
    return errorCode(error);
  }
}

/** Waits until it holds, for some seconds at most. */
async function soon(holds: () => boolean): Promise<void> {
  for (let look = 0; look < 200 && !holds(); look++) await sleep(loop, 50);
}

async function main(): Promise<void> {
  const store = openStore(hypervisor);
  const offer: Offer = JSON.parse(await appears(store, OFFER_PATH));
  const peer = domId(offer.domid);
  const refs = offer.refs.map(grantRef);

  check('a page granted to another domain cannot be mapped', () =>
    /EPERM|EINVAL/.test(refusal(peer, [grantRef(offer.foreignRef)]) ?? ''),
  );
  check('a page granted for reading cannot be mapped', () =>
    /EPERM|EINVAL/.test(refusal(peer, [grantRef(offer.readOnlyRef)]) ?? ''),
  );
  check('a bad reference in the middle refuses all', () =>
    /EPERM|EINVAL/.test(
      refusal(peer, [refs[0] as GrantRef, grantRef(0xfffffff0), refs[1] as GrantRef]) ?? '',
    ),
  );
  check('a page granted for reading can be copied from and not copied to', () => {
    const batch = hypervisor.grants.copyBatch(2);
    const local = new Uint8Array(16);
    batch.fromPeer(peer, grantRef(offer.readOnlyRef), 0, local);
    batch.toPeer(peer, grantRef(offer.readOnlyRef), 0, local);
    return batch.run() === 1 && batch.status(0) === 0 && local[7] === 77;
  });

  const mapped = hypervisor.grants.map(peer, [...refs].reverse());
  check('pages map in the order asked for, as one run', () =>
    [0, 1, 2].every((page) => {
      const at = (SHARED_PAGES - 1 - page) * 4096;
      return mapped.bytes[at] === GRANTED && mapped.bytes[at + 1] === page + 10;
    }),
  );
  for (let page = 0; page < SHARED_PAGES; page++) {
    mapped.page(SHARED_PAGES - 1 - page).set([MAPPED, page + 20]);
  }
  check('a domain that has mapped pages of another is not suspended', () => {
    try {
      hypervisor.suspend();
      return false;
    } catch (error) {
      return errorCode(error) === 'EBUSY';
    }
  });
  const channel = hypervisor.events.bindInterdomain(peer, eventPort(offer.port));
  let signals = 0;
  channel.onEvent(() => {
    signals += 1;
  });
  // Xen raises a port that is bound, lest a signal from before it be missed.
  await soon(() => signals > 0);
  check('a port is raised when it is bound', () => signals === 1);
  channel.notify();
  // The granter may run, write and signal before our hypercall returns: so the page alone says
  // nothing of the signal, which we are given when we next wait.
  await soon(() => signals > 1);
  check('a signal came after what the granter wrote', () => mapped.bytes[0] === REVOKED);
  check('signals are as many as there were', () => signals === 2);
  await sleep(loop, 100);
  mapped.bytes.fill(99);
  check('a page stays mapped when its grant is revoked', () => mapped.bytes[4096] === 99);

  mapped.close();
  check('views of pages that were unmapped are empty', () => {
    try {
      return mapped.bytes.length === 0;
    } catch (error) {
      return error instanceof TypeError;
    }
  });
  await soon(() => refusal(peer, refs) !== undefined);
  check('a revoked page cannot be mapped again', () => refusal(peer, refs) !== undefined);
  await store.write(RESULT_PATH, 'done');
  xen.shutDown(failures() === 0 ? SHUTDOWN_poweroff : SHUTDOWN_crash);
}

void main();
