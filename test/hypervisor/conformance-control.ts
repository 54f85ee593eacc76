import { expect } from 'vitest';
import type { DomainControl } from '../../src/hypervisor/contract.ts';
import { type ConformanceTest, expectMistake, type Harness, refusal } from './harness.ts';

export function controlConformance(conforms: ConformanceTest): void {
  const privileged = (
    statement: string,
    body: (control: DomainControl, harness: Harness) => void,
  ) =>
    conforms(statement, (harness, context) => {
      const { control } = harness;
      context.skip(control === undefined, 'the domain is not privileged');
      if (control !== undefined) body(control, harness);
    });

  privileged('info tells that the own domain runs', (control, { a }) => {
    expect(control.info(a.domid)).toMatchObject({ domid: a.domid, dying: false, shutdown: false });
  });

  privileged('info knows no domain of an unused number', (control, { other }) => {
    expect(control.info(other)).toBeUndefined();
  });

  privileged('list has every domain once, in order of domid', (control, { a, b }) => {
    const domids = control.list().map((info) => info.domid);
    expect(domids).toEqual([...new Set(domids)].sort((x, y) => x - y));
    expect(domids).toContain(a.domid);
    expect(domids).toContain(b.domid);
  });

  privileged('list and info say the same', (control) => {
    for (const info of control.list()) expect(control.info(info.domid)).toEqual(info);
  });

  privileged('mapForeign of a domain that does not exist is refused', (control, { other }) => {
    expect(refusal(() => control.mapForeign(other, [1]))).toMatch(/^(ESRCH|EINVAL|ENOENT)$/);
  });

  privileged('mapForeign rejects an empty list of frames', (control, { other }) => {
    expectMistake(() => control.mapForeign(other, []));
  });

  privileged('readConsole gives each text once', (control) => {
    let reads = 0;
    while (control.readConsole() !== undefined) expect(++reads).toBeLessThan(1000);
    expect(control.readConsole()).toBeUndefined();
  });
}
