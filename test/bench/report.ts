/** What a bench prints. */
import { PEERS, type Row } from './rounds.ts';

const NAMES = { c: 'C', ocaml: 'OCaml', socket: 'socket' } as const;

function shown(value: number | undefined): string {
  if (value === undefined) return '-';
  return value >= 1000 ? value.toFixed(0) : value.toPrecision(3);
}

function ratio(ours: number, peer: number | undefined): string {
  return peer === undefined || peer === 0 ? '-' : (ours / peer).toFixed(2);
}

/** The rows as a table for people, with a column for each peer that there is; a ratio is ours over theirs. */
export function table(rows: readonly Row[]): string {
  const sides = PEERS.filter((side) => rows.some(({ peers }) => peers[side] !== undefined));
  const lines = [
    ['', 'unit', 'better', 'ours']
      .concat(sides.map((side) => NAMES[side]))
      .concat(sides.map((side) => `ours/${NAMES[side]}`)),
    ...rows.map(({ name, unit, better, ours, peers }) => [
      ...[name, unit, better, shown(ours)],
      ...sides.map((side) => shown(peers[side])),
      ...sides.map((side) => ratio(ours, peers[side])),
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
