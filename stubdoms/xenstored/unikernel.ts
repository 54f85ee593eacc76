/**
 * What xenstored is made of, as a stub domain of its own. `init-xenstore-domain` starts it, and tells
 * it on its command line where dom0's kernel waits:
 *
 *     --event PORT            dom0's event channel
 *     --master-domid DOMID    the domain of that kernel, if it is not dom0
 */
import { GNTTAB_RESERVED_XENSTORE } from '../../src/abi/grant_table.ts';
import { XenError } from '../../src/base/errors.ts';
import { domId, eventPort, grantRef } from '../../src/base/ids.ts';
import { consoleLog } from '../../src/hypervisor/unikernel/console.ts';
import { UnikernelDomainControl } from '../../src/hypervisor/unikernel/domain-control.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { openUnikernelHypervisor } from '../../src/hypervisor/unikernel/hypervisor.ts';
import { startXenstored } from '../../src/xenstored/server.ts';

const loop = eventLoop();
const { xen } = loop;

/** The number that follows `--NAME` on the command line. */
function numberOption(name: string): number | undefined {
  const [, value] = new RegExp(`(?:^| )--${name}[ =](\\d+)(?: |$)`).exec(xen.commandLine) ?? [];
  return value === undefined ? undefined : Number(value);
}

function start(): void {
  const port = numberOption('event');
  if (port === undefined) {
    const how = "init-xenstore-domain gives it as --event PORT on the domain's command line";
    throw new XenError('EINVAL', "find dom0's event channel", how);
  }
  const masterDomid = numberOption('master-domid') ?? 0;
  const hypervisor = openUnikernelHypervisor();
  const log = consoleLog(xen);
  const xenstored = startXenstored({
    hypervisor,
    domainControl: new UnikernelDomainControl(xen),
    clock: loop,
    log,
    options: { masterDomid },
  });
  const master = domId(masterDomid);
  xenstored.attachKernelRing(
    hypervisor.grants.map(master, [grantRef(GNTTAB_RESERVED_XENSTORE)]),
    hypervisor.events.bindInterdomain(master, eventPort(port)),
  );
  log.info('xenstored is ready', { domid: xen.domid, unused: xen.memory().unused });
}

start();
