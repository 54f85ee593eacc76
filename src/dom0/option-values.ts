/** Values of options, checked as the command line is read. */
import { InvalidArgumentError } from 'commander';

/** A whole number from `min` on. */
export function wholeNumber(min: number): (argument: string) => number {
  return (argument) => {
    if (!/^[0-9]{1,9}$/.test(argument) || Number(argument) < min) {
      throw new InvalidArgumentError(`it is a whole number from ${min}.`);
    }
    return Number(argument);
  };
}

/** `<what>=<number>`, given any number of times; `names` are those that there are. */
export function namedNumbers(names: readonly string[]) {
  const number = wholeNumber(0);
  return (argument: string, previous: Readonly<Record<string, number>> = {}) => {
    const [name, value] = argument.split('=', 2);
    if (name === undefined || value === undefined || !names.includes(name)) {
      throw new InvalidArgumentError(`it is <what>=<number>, <what> one of ${names.join(', ')}.`);
    }
    return { ...previous, [name]: number(value) };
  };
}

/** A number with one of the units. */
function withUnit(
  units: Readonly<Record<string, number>>,
  example: string,
): (argument: string) => number {
  return (argument) => {
    const [, digits, unit = ''] = /^([0-9]{1,9})([A-Za-z]?)$/.exec(argument) ?? [];
    const factor = units[unit];
    if (digits === undefined || factor === undefined || Number(digits) === 0) {
      throw new InvalidArgumentError(
        `it is a whole number from 1 with a unit, such as ${example}.`,
      );
    }
    return Number(digits) * factor;
  };
}

/** Bytes: `4096`, `64k`, `10M`, `1G`, `2T`. */
export const byteCount = withUnit(
  { '': 1, k: 2 ** 10, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 },
  '64k, 10M or 1G',
);

/** A span of time in milliseconds: `90s`, `30m`, `12h`, `7d`. */
export const timeSpan = withUnit(
  { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 },
  '90s, 30m, 12h or 7d',
);

/** Processors of the host, as in xl's configurations: `1`, `0,2`, `1-3,5`. */
export function processors(argument: string): number[] {
  const ranges = argument.split(',').map((range) => /^([0-9]{1,4})(?:-([0-9]{1,4}))?$/.exec(range));
  const numbers = ranges.map((range) => {
    const [, first = '', last = first] = range ?? [];
    return { first: Number(first), last: range === null ? -1 : Number(last) };
  });
  if (numbers.some(({ first, last }) => last < first)) {
    throw new InvalidArgumentError('it is numbers and ranges of processors, such as 1-3,5.');
  }
  const all = numbers.flatMap(({ first, last }) =>
    Array.from({ length: last - first + 1 }, (_, n) => first + n),
  );
  return [...new Set(all)];
}
