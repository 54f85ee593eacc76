/** What can take the place of the xenstored of a stub domain: that of another image. */
import { XenError } from '../../src/base/errors.ts';
import { granted } from '../../src/hypervisor/unikernel/errors.ts';
import type { XenObject } from '../../src/hypervisor/unikernel/xen-object.ts';
import type { JournalStorage } from '../../src/xenstored/journal/storage.ts';
import type { Succession } from '../../src/xenstored/live-update.ts';
import { encodeState } from '../../src/xenstored/state-encoding.ts';

/** There is no socket. */
const NO_LISTENER = -1;

/**
 * Of the image its script alone is run, by the kernel and the engine that are there. It finds the state
 * where the journal was; if it fails at once, the present script takes it up again.
 */
export function successionOf(xen: XenObject, storage: JournalStorage): Succession {
  const operation = 'live update';
  return {
    find(program) {
      if (typeof program === 'string') {
        throw new XenError('EINVAL', operation, 'this xenstored is a domain: it is sent an image');
      }
      return {
        keepsAll: true,
        async rehearse() {
          const detail = 'it holds no bundle that is whole: `paravane build xenstored` makes one';
          granted(operation, xen.prepareNext(program), { ENOENT: detail });
        },
        takeOver(state) {
          const rewrite = storage.beginRewrite();
          try {
            rewrite.append(encodeState({ state, listener: NO_LISTENER }));
            rewrite.replace(storage.length);
          } catch (error) {
            rewrite.abandon();
            throw error;
          }
          xen.runNext();
          // Nothing of this script runs any more after this turn, so nobody hears of it.
          throw new XenError('EAGAIN', operation, 'the next script is about to run');
        },
      };
    },
  };
}
