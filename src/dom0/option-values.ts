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
