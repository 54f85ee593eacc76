/** xenstored as a stub domain, which fails when something is typed at its console. */
import { onConsoleInput } from '../../src/hypervisor/unikernel/console.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import '../../stubdoms/xenstored/unikernel.ts';

onConsoleInput(eventLoop(), () => {
  throw new Error('on purpose');
});
