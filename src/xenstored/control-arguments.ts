/** What all sub-commands of `xenstore-control` do with arguments that they do not take. */
import { XenError } from '../base/errors.ts';

/**
 * Throws EINVAL.
 *
 * @param takes what the command takes, as `help` says it
 */
export function refuseArguments(command: string, takes: string): never {
  throw new XenError(
    'EINVAL',
    `control ${command}`,
    `it takes ${takes === '' ? 'nothing' : takes}`,
  );
}
