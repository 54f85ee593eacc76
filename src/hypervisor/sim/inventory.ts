/** What is open and what is awaited, as sentences for people who look for a leak or a hang. */
import type { Domain, Port, Xen } from './xen.ts';

function describePort({ domain, number, state }: Port): string {
  const name = `port ${number} of ${domain.name}`;
  switch (state.kind) {
    case 'unbound':
      return `${name} (open for domain ${state.peer})`;
    case 'interdomain':
      return `${name} (bound to port ${state.peer.number} of ${state.peer.domain.name})`;
    case 'virq':
      return `${name} (virtual interrupt ${state.virq})`;
    case 'closed':
      return `${name} (closed)`;
  }
}

function grantsOf(domain: Domain): string[] {
  return [...domain.grants.values()]
    .filter((entry) => !entry.reserved)
    .map(
      (entry) =>
        `grant ${entry.ref} of ${domain.name} to domain ${entry.peer} is ` +
        (entry.revoked ? 'revoked but still mapped' : 'not revoked'),
    );
}

function mappingsOf(domain: Domain): string[] {
  return [...domain.mappedFrames].map(
    (frame) => `frame ${frame.gfn} of ${domain.name} is mapped ${frame.mappings} times`,
  );
}

function portsOf(domain: Domain): string[] {
  return [...domain.ports.values()]
    .filter((port) => !port.reserved)
    .map((port) => `${describePort(port)} is open`);
}

export function leftovers(xen: Xen): string[] {
  return [...xen.domains.values()].flatMap((domain) => [
    ...grantsOf(domain),
    ...mappingsOf(domain),
    ...portsOf(domain),
  ]);
}

export function waiting(xen: Xen): string[] {
  const ports = [...xen.domains.values()]
    .flatMap((domain) => [...domain.ports.values()])
    .filter((port) => port.handler !== undefined)
    .map((port) => `${describePort(port)} ${port.paused ? 'is paused' : 'waits for a signal'}`);
  const timers = xen.scheduler.timers_ms.map((due_ms) => `a timer rings at ${due_ms} ms`);
  return [...ports, ...timers];
}
