/** What a guest had of xenstore beside others, as a table for people. */
import type { Experience } from './victim.ts';

const HEAD = ['beside a guest that', 'reads', 'median', '99th', 'max', 'commits', 'EAGAIN'];

/** Times are in microseconds. */
export function latencyTable(experiences: ReadonlyMap<string, Experience>): string {
  const rows = [...experiences].map(([beside, seen]) => [
    beside,
    ...[seen.reads, seen.median_us, seen.p99_us, seen.max_us].map(String),
    ...[seen.committed, seen.conflicted].map(String),
  ]);
  const lines = [HEAD, ...rows];
  const widths = HEAD.map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? '').length)),
  );
  const padded = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0);
  return lines.map((line) => line.map(padded).join('  ')).join('\n');
}
