/** Where the sources of images are. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { XenError } from '../../base/errors.ts';

const landmark = 'native/unikernel/kernel/image.lds';

/** The checkout that this file, or the bundle in dist/ that holds it, lies in. */
export function checkoutDirectory(from = fileURLToPath(import.meta.url)): string {
  for (let directory = dirname(from); ; directory = dirname(directory)) {
    if (existsSync(join(directory, landmark))) return directory;
    if (directory === dirname(directory)) {
      throw new XenError(
        'ENOENT',
        'build an image',
        `${landmark} is not above this program; images are built in a checkout`,
      );
    }
  }
}
