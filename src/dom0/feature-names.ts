/** The option `--without` of back ends. */
import { InvalidArgumentError } from 'commander';

/** Names of `known` features with commas between them. */
export function featureNames<Feature extends string>(known: readonly Feature[]) {
  return (argument: string): Feature[] =>
    argument.split(',').map((name) => {
      const feature = known.find((each) => each === name);
      if (feature !== undefined) return feature;
      throw new InvalidArgumentError(`${name} is none of ${known.join(', ')}.`);
    });
}
