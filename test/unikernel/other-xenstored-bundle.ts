/** xenstored as a stub domain of another image, which says so, and whose script fails now and then. */
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import '../../stubdoms/xenstored/unikernel.ts';

/** The kernel runs no script anew that has failed sooner than 5 s after its beginning. */
const FAILS_AFTER_MS = 6000;

const loop = eventLoop();
loop.xen.print('this is another image\n');
loop.after(FAILS_AFTER_MS, () => {
  throw new Error('on purpose');
});
