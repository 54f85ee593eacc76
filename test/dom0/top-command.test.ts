/** `paravane top` against a xenstored of its own. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { activitySince, type DomainActivity } from '../../src/dom0/domain-activity.ts';
import { type Host, startHost } from './host.ts';

let host: Host;

beforeEach(async () => {
  host = await startHost();
});

afterEach(() => host.stop());

interface Row {
  readonly domid: number;
  readonly name: string;
  readonly requests: number;
  readonly nodes: number;
  readonly byType: Readonly<Record<string, number>>;
}

test('shows a table, with names and the busiest domain first', async () => {
  await host.paravane(['write', '/local/domain/0/name', 'Domain-0', '/local/domain/7/name', 'web']);
  await host.paravane(['chmod', '/local/domain/7', 'n7']);
  const { code, out } = await host.paravane(['top']);
  expect(code).toBe(0);
  const [head, ...rows] = out.trimEnd().split('\n');
  expect(head).toMatch(/^DOMID {2}NAME +REQUESTS +ERRORS +REFUSALS +EVENTS /);
  expect(rows.map((row) => row.trim().split(/ +/, 2))).toEqual([
    ['0', 'Domain-0'],
    ['7', 'web'],
  ]);
  const byNodes = await host.paravane(['top', '--sort', 'domid']);
  expect(byNodes.out.split('\n')[1]).toMatch(/^ +0 /);
});

test('as JSON has the requests by type', async () => {
  await host.paravane(['write', '/a', '1']);
  const { out } = await host.paravane(['top', '--json']);
  const [dom0] = JSON.parse(out) as [Row];
  expect(dom0).toMatchObject({ domid: 0, name: '', byType: { WRITE: 1 } });
  expect(dom0.nodes).toBeGreaterThan(3);
  const byType = Object.values(dom0.byType).reduce((sum, count) => sum + count, 0);
  expect(byType).toBe(dom0.requests);
});

test('with an interval tells what happened since, as often as it is asked to', async () => {
  await host.paravane(['write', '/a', '1']);
  const { code, out } = await host.paravane(['top', '--json', '--interval', '1', '-n', '2']);
  expect(code).toBe(0);
  const tables = out.trimEnd().split('\n');
  expect(tables).toHaveLength(2);
  for (const table of tables) {
    const [dom0] = JSON.parse(table) as [Row];
    // What the command itself asks for.
    expect(dom0.byType).toMatchObject({ WRITE: 0, CONTROL: 1 });
  }
});

test("counts a domain that has another's domid from its own start", () => {
  const activity = (requests: number, nodes: number) =>
    ({
      domid: 3,
      name: '',
      figures: { requests, nodes },
      byType: { READ: requests },
    }) as unknown as DomainActivity;
  const since = activitySince(activity(10, 5), activity(70, 9));
  expect([since.figures.requests, since.figures.nodes, since.byType.READ]).toEqual([0, 5, 0]);
});

test('refuses a column that there is not', async () => {
  const { code, error } = await host.paravane(['top', '--sort', 'nothing']);
  expect(code).toBe(2);
  expect(error).toMatch(/--sort/);
});
