/** What a bench prints. */
import type { Row } from './rounds.ts';

function shown(value: number | undefined): string {
  if (value === undefined) return '-';
  return value >= 1000 ? value.toFixed(0) : value.toPrecision(3);
}

function ratio(ours: number, peer: number | undefined): string {
  return peer === undefined || peer === 0 ? '-' : (ours / peer).toFixed(2);
}

/** The rows as a table for people; a ratio is ours over theirs. */
export function table(rows: readonly Row[]): string {
  const peers = [...new Set(rows.flatMap((row) => Object.keys(row.peers)))];
  const lines = [
    ['', 'unit', 'better', 'ours', ...peers, ...peers.map((peer) => `ours/${peer}`)],
    ...rows.map(({ name, unit, better, ours, peers: figures }) => [
      ...[name, unit, better, shown(ours)],
      ...peers.map((peer) => shown(figures[peer])),
      ...peers.map((peer) => ratio(ours, figures[peer])),
    ]),
  ];
  const widths = lines[0]?.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  const padded = (line: readonly string[]) =>
    line.map((cell, column) => {
      const width = widths?.[column] ?? 0;
      return column < 3 ? cell.padEnd(width) : cell.padStart(width);
    });
  return lines.map((line) => padded(line).join('  ').trimEnd()).join('\n');
}
