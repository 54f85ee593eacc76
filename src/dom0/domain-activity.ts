/** What each domain has asked xenstored for, as `control activity` tells it. */
import { errorCode } from '../base/errors.ts';
import type { Xenstore } from '../xenstore/xenstore.ts';

/** What xenstored counts, or in the last five lines has at the moment. */
export const FIGURES = [
  'requests',
  'errors',
  'refusals',
  'events',
  'received',
  'sent',
  'committed',
  'replayed',
  'conflicted',
  'nodes',
  'watches',
  'transactions',
  'outstanding',
  'memory',
] as const;

export type Figure = (typeof FIGURES)[number];

const MOMENTARY: ReadonlySet<Figure> = new Set<Figure>([
  'nodes',
  'watches',
  'transactions',
  'outstanding',
  'memory',
]);

export interface DomainActivity {
  readonly domid: number;
  /** Empty where the toolstack has given it none. */
  readonly name: string;
  readonly figures: Readonly<Record<Figure, number>>;
  /** Requests by type, such as `READ`. */
  readonly byType: Readonly<Record<string, number>>;
}

const LINE = /^domain (\d+): (.*)$/;
const MORE = /^more from (\d+)$/;

function parsed(domid: number, text: string, name: string): DomainActivity {
  const all = new Map(
    text.split(' ').map((pair) => {
      const [key = '', value] = pair.split('=');
      return [key, Number(value)] as const;
    }),
  );
  const figures = Object.fromEntries(FIGURES.map((figure) => [figure, all.get(figure) ?? 0]));
  const types = [...all].filter(([key]) => key === key.toUpperCase());
  return {
    domid,
    name,
    figures: figures as Record<Figure, number>,
    byType: Object.fromEntries(types),
  };
}

async function nameOf(store: Xenstore, domid: number): Promise<string> {
  try {
    return await store.read(`/local/domain/${domid}/name`);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return '';
    throw error;
  }
}

/** All domains that xenstored knows, by domid. Rejects with EINVAL where it is another's xenstored. */
export async function domainActivities(store: Xenstore): Promise<DomainActivity[]> {
  const activities: DomainActivity[] = [];
  for (let from: string | undefined = '0'; from !== undefined; ) {
    const reply: string = await store.control('activity', from);
    from = undefined;
    for (const line of reply.split('\n')) {
      const [, domid, text] = LINE.exec(line) ?? [];
      if (domid !== undefined && text !== undefined) {
        activities.push(parsed(Number(domid), text, await nameOf(store, Number(domid))));
      }
      from ??= MORE.exec(line)?.[1];
    }
  }
  return activities;
}

/** What happened since `earlier`; what is counted at the moment stays as it is. */
export function activitySince(
  now: DomainActivity,
  earlier: DomainActivity | undefined,
): DomainActivity {
  const figures = FIGURES.map((figure) => {
    const before = MOMENTARY.has(figure) ? 0 : (earlier?.figures[figure] ?? 0);
    // Fewer than before are those of another domain that has the domid now.
    return [figure, Math.max(0, now.figures[figure] - before)];
  });
  const types = Object.entries(now.byType).map(([type, count]) => {
    return [type, Math.max(0, count - (earlier?.byType[type] ?? 0))];
  });
  return {
    ...now,
    figures: Object.fromEntries(figures) as Record<Figure, number>,
    byType: Object.fromEntries(types),
  };
}
