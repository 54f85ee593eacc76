/** `paravane top`: which domains keep xenstored busy, the busiest first. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Option } from 'commander';
import type { Xenstore } from '../xenstore/xenstore.ts';
import {
  activitySince,
  type DomainActivity,
  domainActivities,
  FIGURES,
  type Figure,
} from './domain-activity.ts';
import { wholeNumber } from './option-values.ts';
import type { StoreCommands } from './store-command.ts';

interface TopOptions {
  readonly sort: Figure | 'domid';
  readonly json?: boolean;
  readonly interval?: number;
  readonly count?: number;
}

function sorted(activities: readonly DomainActivity[], by: TopOptions['sort']): DomainActivity[] {
  const busiest = (one: DomainActivity, other: DomainActivity) =>
    by === 'domid' ? 0 : other.figures[by] - one.figures[by];
  return [...activities].sort((one, other) => busiest(one, other) || one.domid - other.domid);
}

function tableLines(activities: readonly DomainActivity[]): string[] {
  const lines = [
    ['DOMID', 'NAME', ...FIGURES.map((figure) => figure.toUpperCase())],
    ...activities.map(({ domid, name, figures }) => [
      `${domid}`,
      name,
      ...FIGURES.map((figure) => `${figures[figure]}`),
    ]),
  ];
  const widths = lines[0]?.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  return lines.map((line) =>
    line
      .map((cell, column) => {
        const width = widths?.[column] ?? 0;
        return column === 1 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  '),
  );
}

function print(
  commands: StoreCommands,
  activities: readonly DomainActivity[],
  options: TopOptions,
): void {
  const rows = sorted(activities, options.sort);
  if (options.json !== true) {
    for (const line of tableLines(rows)) commands.line(line);
    return;
  }
  const flat = rows.map(({ domid, name, figures, byType }) => ({
    domid,
    name,
    ...figures,
    byType,
  }));
  commands.line(JSON.stringify(flat));
}

async function show(store: Xenstore, commands: StoreCommands, options: TopOptions): Promise<void> {
  let earlier = await domainActivities(store);
  if (options.interval === undefined) {
    print(commands, earlier, options);
    return;
  }
  for (let left = options.count ?? Number.POSITIVE_INFINITY; left > 0; left--) {
    await sleep(options.interval * 1000);
    const now = await domainActivities(store);
    const before = new Map(earlier.map((activity) => [activity.domid, activity]));
    print(
      commands,
      now.map((activity) => activitySince(activity, before.get(activity.domid))),
      options,
    );
    earlier = now;
  }
}

export function addTopCommand(commands: StoreCommands): void {
  commands
    .add('top', 'show which domains keep xenstored busy, the busiest first', [
      'paravane top',
      'paravane top --sort conflicted',
      'paravane top --interval 5',
      'paravane top --json | jq ".[] | select(.refusals > 0)"',
    ])
    .addOption(
      new Option('--sort <column>', 'the column that puts the rows in order')
        .choices(['domid', ...FIGURES])
        .default('requests'),
    )
    .option('--json', 'one line of JSON instead of a table, with the requests by type')
    .option(
      '--interval <seconds>',
      'show again and again what happened since the last time',
      wholeNumber(1),
    )
    .option('-n, --count <tables>', 'with --interval, end after so many', wholeNumber(1))
    .addHelpText(
      'after',
      `
Counts begin when a domain comes; those of domain 0 include the tools' sockets.
  REFUSALS    what a quota has denied
  RECEIVED    bytes of requests, and SENT of replies and events
  REPLAYED    transactions that were committed although others were in between
  CONFLICTED  transactions that ended with EAGAIN
`,
    )
    .action(async (options) => {
      await commands.follow(options, (store) => show(store, commands, options));
    });
}
