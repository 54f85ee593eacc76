/**
 * What the block back end is made of, as a stub domain of its own. It serves disks that it has as a
 * front end: a guest's `target=vbd:51712` is the stub domain's own xvda.
 */
import { XenError } from '../../src/base/errors.ts';
import { runStubDomain } from '../stub-domain.ts';
import { FrontDisks } from './front-disks.ts';
import { startBlkback } from './service.ts';

runStubDomain((domain) => {
  const fronts = new FrontDisks(domain);
  return startBlkback({
    ...domain,
    options: { driverDomain: true },
    openDisk: async (request) => {
      const devid = FrontDisks.devidOf(request.path);
      if (devid !== undefined) return fronts.open(devid, request);
      const detail = 'this domain has only disks such as vbd:51712, its own xvda';
      throw new XenError('ENOTSUP', `open disk ${request.path}`, detail);
    },
  });
});
