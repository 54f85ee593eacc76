/** The privileged calls of one process. */
import { latin1Encode } from '../../base/bytes.ts';
import { XenError } from '../../base/errors.ts';
import { type DomId, domId } from '../../base/ids.ts';
import type { DomainControl, DomainInfo, Pages } from '../contract.ts';
import type { SimHypervisor } from './hypervisor.ts';
import type { Domain, Xen } from './xen.ts';

function describe(domain: Domain): DomainInfo {
  return {
    domid: domain.domid,
    dying: domain.state === 'dying',
    shutdown: domain.stopped,
    shutdownReason: domain.shutdownReason,
    hvm: domain.hvm,
  };
}

export class SimDomainControl implements DomainControl {
  private readonly xen: Xen;
  private readonly hypervisor: SimHypervisor;
  private consoleRead = 0;

  constructor(xen: Xen, hypervisor: SimHypervisor) {
    this.xen = xen;
    this.hypervisor = hypervisor;
  }

  info(domid: DomId): DomainInfo | undefined {
    this.hypervisor.assertOpen();
    const domain = this.xen.domain(domId(domid));
    return domain && describe(domain);
  }

  list(): DomainInfo[] {
    this.hypervisor.assertOpen();
    return [...this.xen.domains.values()].map(describe).sort((a, b) => a.domid - b.domid);
  }

  mapForeign(domid: DomId, gfns: readonly number[]): Pages {
    this.hypervisor.assertOpen();
    const { xen } = this;
    if (gfns.length === 0) throw new RangeError('there must be 1 frame or more');
    const domain = xen.domain(domId(domid));
    const operation = `map frames of domain ${domid}`;
    if (domain === undefined) throw new XenError('ESRCH', operation, 'there is no such domain');
    const frames = gfns.map((gfn) => {
      const frame = domain.state === 'dying' ? undefined : domain.frames.get(gfn);
      if (frame === undefined) throw new XenError('EINVAL', operation, `no frame ${gfn}`);
      return frame;
    });
    for (const frame of frames) xen.holdFrame(frame);
    return this.hypervisor.openWindow(frames, () => {
      for (const frame of frames) xen.releaseFrame(frame);
    });
  }

  readConsole(): Uint8Array | undefined {
    this.hypervisor.assertOpen();
    const { console } = this.xen;
    const text = console.since(this.consoleRead);
    this.consoleRead = console.total;
    return text === '' ? undefined : latin1Encode(text);
  }
}
