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

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/** A number of bytes, such as `512`, `50M` or `2G`. */
export function byteCount(argument: string): number {
  const [, digits, unit = ''] = /^([1-9]\d{0,8})([KMGT]?)$/.exec(argument) ?? [];
  if (digits === undefined) {
    throw new InvalidArgumentError('it is a whole number from 1 on, with K, M, G or T for more.');
  }
  return Number(digits) * UNITS[unit]!;
}
