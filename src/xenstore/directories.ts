/** Directories of xenstore as a whole: what is in one, and one with all of its keys. */
import { errorCode } from '../base/errors.ts';
import { childPath } from './path.ts';
import type { Permission, XenstoreNodes } from './xenstore.ts';

/** Names of the node's children; none when there is no such node. */
export async function childrenOf(nodes: XenstoreNodes, path: string): Promise<string[]> {
  try {
    return await nodes.list(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Makes the directory and writes its keys, which have its permissions as all that is new below it. */
export async function writeDirectory(
  nodes: XenstoreNodes,
  path: string,
  permissions: readonly Permission[],
  keys: Readonly<Record<string, string | number>>,
): Promise<void> {
  await nodes.mkdir(path);
  await nodes.setPermissions(path, permissions);
  for (const [key, value] of Object.entries(keys)) {
    await nodes.write(childPath(path, key), String(value));
  }
}
