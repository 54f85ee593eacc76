/** Statements that a stub domain under test prints on its console. */
import type { XenObject } from '../../src/hypervisor/unikernel/xen-object.ts';

export function checks(xen: XenObject) {
  let count = 0;
  return {
    /** Prints `ok`, or `FAILED` when the statement does not hold or throws. */
    check(statement: string, holds: () => boolean): void {
      let verdict = 'FAILED';
      let reason = '';
      try {
        if (holds()) verdict = 'ok';
      } catch (error) {
        reason = ` (${error})`;
      }
      if (verdict !== 'ok') count += 1;
      xen.print(`${verdict}: ${statement}${reason}\n`);
    },
    failures: () => count,
  };
}
