/** The commands that change xenstore: `write`, `mkdir`, `rm`, `chmod`. */
import { type Command, InvalidArgumentError } from 'commander';
import { errorMessage } from '../base/errors.ts';
import { childPath, parentPath } from '../xenstore/path.ts';
import { parsePermission } from '../xenstore/permissions.ts';
import type { Permission, XenstoreNodes } from '../xenstore/xenstore.ts';
import { collect, PATH_HELP, parsePath, type StoreCommands, together } from './store-command.ts';
import { typedBytes, unescapeValue } from './value-text.ts';

export function addWritingCommands(commands: StoreCommands): void {
  addWrite(commands);
  addMkdir(commands);
  addRm(commands);
  addChmod(commands);
}

function addWrite(commands: StoreCommands): void {
  commands
    .add('write', 'write values, all of them or none', [
      'paravane write /tool/greeting hello',
      "paravane write /tool/bytes 'tab\\tnul\\000\\xff' /tool/other -1",
    ])
    .argument('<path>', PATH_HELP)
    .argument('<value>', 'text with the escapes \\t \\n \\r \\\\ \\ooo \\xhh')
    .argument('[more...]', 'further paths and values in turn')
    .option('-R, --raw', 'take values as they are, without escapes')
    // So that a value may begin with a dash.
    .passThroughOptions()
    .action(async (path: string, value: string, more: string[], options, command: Command) => {
      const values = pairs(command, [path, value, ...more]).map(
        ([target, typed]): [string, string] => {
          const bytes = typedBytes(typed);
          return [target, options.raw ? bytes : unescapeValue(bytes)];
        },
      );
      await commands.run(options, (store) =>
        together(store, values.length > 1, async (nodes) => {
          for (const [target, bytes] of values) await nodes.write(target, bytes);
        }),
      );
    });
}

/** The arguments as paths and values. Ends the command when they are not. */
function pairs(command: Command, args: readonly string[]): [path: string, value: string][] {
  const all: [string, string][] = [];
  for (let i = 0; i < args.length; i += 2) {
    const [path, value] = [args[i] as string, args[i + 1]];
    if (value === undefined) command.error(`error: there is no value for '${path}'`);
    try {
      all.push([parsePath(path), value]);
    } catch (error) {
      command.error(`error: ${errorMessage(error)}`);
    }
  }
  return all;
}

function addMkdir(commands: StoreCommands): void {
  commands
    .add('mkdir', 'create empty nodes where there are none', ['paravane mkdir /tool/here'])
    .argument('<path...>', PATH_HELP, collect(parsePath))
    .action(async (paths: string[], options) => {
      await commands.run(options, (store) =>
        together(store, paths.length > 1, async (nodes) => {
          for (const path of paths) await nodes.mkdir(path);
        }),
      );
    });
}

function addRm(commands: StoreCommands): void {
  commands
    .add('rm', 'remove nodes and all below them', [
      'paravane rm /tool/greeting',
      'paravane rm --tidy /tool/a/b/c',
    ])
    .argument('<path...>', PATH_HELP, collect(parsePath))
    .option('-t, --tidy', 'remove the nodes above as well that are left without value and children')
    .action(async (paths: string[], options) => {
      await commands.run(options, (store) =>
        together(store, options.tidy === true || paths.length > 1, async (nodes) => {
          for (const path of paths) {
            await nodes.remove(path);
            if (options.tidy) await removeEmptyAbove(nodes, path);
          }
        }),
      );
    });
}

async function removeEmptyAbove(nodes: XenstoreNodes, path: string): Promise<void> {
  for (let above = parentPath(path); above !== '/'; above = parentPath(above)) {
    if ((await nodes.read(above)) !== '' || (await nodes.list(above)).length > 0) return;
    await nodes.remove(above);
  }
}

function parsePermissionArgument(argument: string): Permission {
  try {
    return parsePermission(argument);
  } catch (error) {
    throw new InvalidArgumentError(errorMessage(error));
  }
}

function addChmod(commands: StoreCommands): void {
  commands
    .add('chmod', 'set the permissions of a node', [
      'paravane chmod /tool/greeting n0 r1   (belongs to domain 0; domain 1 may read)',
      'paravane chmod -r /tool/shared b0     (everybody may read and write)',
    ])
    .argument('<path>', PATH_HELP, parsePath)
    .argument(
      '<permission...>',
      'n none, r read, w write or b both, and a domid; the first names the owner, and what everybody else may do',
      collect(parsePermissionArgument),
    )
    .option('-r, --recursive', 'of all nodes below as well')
    .option('-u, --upto', 'of all nodes above as well, but not of the root')
    .action(async (path: string, permissions: Permission[], options) => {
      await commands.run(options, (store) =>
        together(store, options.recursive === true || options.upto === true, async (nodes) => {
          await changeBelow(nodes, path, permissions, options.recursive === true);
          if (options.upto) await changeAbove(nodes, path, permissions);
        }),
      );
    });
}

async function changeBelow(
  nodes: XenstoreNodes,
  path: string,
  permissions: readonly Permission[],
  recursive: boolean,
): Promise<void> {
  await nodes.setPermissions(path, permissions);
  if (!recursive) return;
  for (const name of await nodes.list(path)) {
    await changeBelow(nodes, childPath(path, name), permissions, true);
  }
}

async function changeAbove(
  nodes: XenstoreNodes,
  path: string,
  permissions: readonly Permission[],
): Promise<void> {
  for (let above = parentPath(path); above !== '/'; above = parentPath(above)) {
    await nodes.setPermissions(above, permissions);
  }
}
