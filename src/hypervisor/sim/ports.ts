/** Event channels as Xen keeps them. */
import { XenError } from '../../base/errors.ts';
import type { DomId } from '../../base/ids.ts';
import type { Domain, Port, PortState, Xen } from './xen.ts';

/** Xen never gives out port 0. */
const FIRST_PORT = 1;

/** `NR_VIRQS` of xen.h. */
const NR_VIRQS = 24;

export function openPort(xen: Xen, domain: Domain, state: PortState, reserved = false): Port {
  let number = FIRST_PORT;
  while (domain.ports.has(number)) number++;
  const full = domain.ports.size >= domain.limits.ports_max;
  if (full || (!reserved && xen.fault('refusePort'))) {
    const operation = `open an event channel of domain ${domain.domid}`;
    throw new XenError('ENOSPC', operation, full ? 'all its ports are in use' : 'fault on purpose');
  }
  const port: Port = {
    domain,
    number,
    reserved,
    state,
    pending: false,
    paused: false,
    queued: false,
    handler: undefined,
  };
  domain.ports.set(number, port);
  return port;
}

/** Binds `remotePort` of `peer` to a new port of `domain`. */
export function bindInterdomain(xen: Xen, domain: Domain, peer: DomId, remotePort: number): Port {
  const operation = `bind port ${remotePort} of domain ${peer}`;
  const peerDomain = xen.domain(peer);
  if (peerDomain === undefined) throw new XenError('ESRCH', operation, 'there is no such domain');
  const remote = peerDomain.ports.get(remotePort);
  if (remote?.state.kind !== 'unbound' || remote.state.peer !== domain.domid) {
    throw new XenError('EINVAL', operation, 'it is not open for us');
  }
  const port = openPort(xen, domain, { kind: 'interdomain', peer: remote });
  remote.state = { kind: 'interdomain', peer: port };
  xen.trace(domain, () => `port ${port.number} is bound to port ${remotePort} of domain ${peer}`);
  // A signal sent while the other end was unbound reached nobody, so Xen signals the new end.
  signal(xen, port);
  return port;
}

export function bindVirq(xen: Xen, domain: Domain, virq: number): Port {
  const operation = `bind virtual interrupt ${virq}`;
  if (!Number.isInteger(virq) || virq < 0 || virq >= NR_VIRQS) {
    throw new RangeError(`a virtual interrupt is 0 to ${NR_VIRQS - 1}, not ${virq}`);
  }
  if (!domain.privileged) throw new XenError('EPERM', operation, 'the domain is not privileged');
  for (const { state } of domain.ports.values()) {
    if (state.kind === 'virq' && state.virq === virq) throw new XenError('EEXIST', operation);
  }
  const port = openPort(xen, domain, { kind: 'virq', virq });
  xen.trace(domain, () => `port ${port.number} is bound to virtual interrupt ${virq}`);
  return port;
}

/** Signals the other end of `port`, if there is one. */
export function send(xen: Xen, port: Port): void {
  const { state } = port;
  if (state.kind === 'virq') {
    throw new XenError('EINVAL', `signal port ${port.number}`, 'it is a virtual interrupt');
  }
  const reaches = state.kind === 'interdomain';
  xen.trace(
    port.domain,
    () => `signals port ${port.number}${reaches ? '' : ', which nobody has bound'}`,
  );
  if (state.kind === 'interdomain') signal(xen, state.peer);
}

/** Signals every domain that has bound `virq`. */
export function raiseVirq(xen: Xen, virq: number): void {
  for (const domain of xen.domains.values()) {
    for (const port of domain.ports.values()) {
      if (port.state.kind === 'virq' && port.state.virq === virq) signal(xen, port);
    }
  }
}

/** Makes `port` pending. Signals that come before it is delivered merge with this one. */
export function signal(xen: Xen, port: Port): void {
  port.pending = true;
  queueDelivery(xen, port);
}

const deliverable = (port: Port): boolean =>
  port.pending && !port.paused && port.handler !== undefined && port.domain.state === 'running';

/** Puts the delivery into the scheduler when the port is pending and somebody listens. */
export function queueDelivery(xen: Xen, port: Port): void {
  if (port.queued || !deliverable(port)) return;
  port.queued = true;
  const job = () => {
    port.queued = false;
    deliver(xen, port);
  };
  if (xen.fault('delayEvent')) {
    xen.scheduler.after(xen.prng.below(xen.faults.delayEvent_ms_max + 1), job);
  } else {
    xen.scheduler.post(job);
  }
}

function deliver(xen: Xen, port: Port): void {
  // It may have been paused or closed since it was queued.
  if (!deliverable(port)) return;
  port.pending = false;
  xen.trace(port.domain, () => `has an event on port ${port.number}`);
  port.handler?.();
  if (xen.fault('spuriousEvent')) signal(xen, port);
}

/** Closes `port`; its other end becomes unbound again, for the same domain. */
export function closePort(xen: Xen, port: Port): void {
  const { state, domain } = port;
  if (state.kind === 'closed') return;
  if (state.kind === 'interdomain') state.peer.state = { kind: 'unbound', peer: domain.domid };
  port.state = { kind: 'closed' };
  port.pending = false;
  port.handler = undefined;
  domain.ports.delete(port.number);
  xen.trace(domain, () => `closes port ${port.number}`);
}
