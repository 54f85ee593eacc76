/** The commands that look at xenstore: `ls`, `list`, `read`, `exists`, `watch`. */
import { InvalidArgumentError } from 'commander';
import type { Xenstore } from '../xenstore/xenstore.ts';
import { EXIT_FAILED, EXIT_OK } from './exit-codes.ts';
import { collect, PATH_HELP, parsePath, type StoreCommands, together } from './store-command.ts';
import { writeListing } from './store-listing.ts';
import { escapeValue } from './value-text.ts';

export function addReadingCommands(commands: StoreCommands): void {
  addLs(commands);
  addList(commands);
  addRead(commands);
  addExists(commands);
  addWatch(commands);
}

function addLs(commands: StoreCommands): void {
  commands
    .add('ls', 'show nodes and their values as a tree, as xenstore-ls does', [
      'paravane ls',
      'paravane ls -f -p /local/domain/1',
    ])
    .argument('[path]', PATH_HELP, parsePath, '/')
    .option('-f, --full-paths', 'show whole paths, and cut nothing to the width of the terminal')
    .option('-p, --permissions', 'show permissions: n none, r read, w write, b both; owner first')
    .action(async (path: string, options) => {
      const listing = {
        fullPaths: options.fullPaths === true,
        permissions: options.permissions === true,
        width: commands.terminal.width,
      };
      await commands.run(options, (store) =>
        writeListing(store, path, listing, (text) => commands.line(text)),
      );
    });
}

function addList(commands: StoreCommands): void {
  commands
    .add('list', 'print the names of the children of nodes', ['paravane list /local/domain'])
    .argument('<path...>', PATH_HELP, collect(parsePath))
    .option('-p, --prefix', 'print the path before each name')
    .action(async (paths: string[], options) => {
      await commands.run(options, async (store) => {
        const lists = await together(store, paths.length > 1, (nodes) =>
          Promise.all(paths.map((path) => nodes.list(path))),
        );
        lists.forEach((names, i) => {
          for (const name of names) commands.line(options.prefix ? `${paths[i]}/${name}` : name);
        });
      });
    });
}

function addRead(commands: StoreCommands): void {
  commands
    .add('read', 'print the values of nodes, one a line', [
      'paravane read /local/domain/0/name',
      'paravane read --raw /tool/blob > blob',
    ])
    .argument('<path...>', PATH_HELP, collect(parsePath))
    .option('-p, --prefix', 'print the path before each value')
    .option('-R, --raw', 'print the bytes as they are, without escapes and newlines')
    .action(async (paths: string[], options) => {
      await commands.run(options, async (store) => {
        const values = await together(store, paths.length > 1, (nodes) =>
          Promise.all(paths.map((path) => nodes.read(path))),
        );
        values.forEach((value, i) => {
          const prefix = options.prefix ? `${paths[i]}: ` : '';
          if (options.raw) commands.terminal.out(prefix + value);
          else commands.line(prefix + escapeValue(value));
        });
      });
    });
}

function addExists(commands: StoreCommands): void {
  commands
    .add('exists', 'end with exit code 0 if all nodes exist, otherwise with 1', [
      'paravane exists /local/domain/1 && echo it runs',
    ])
    .argument('<path...>', PATH_HELP, collect(parsePath))
    .action(async (paths: string[], options) => {
      await commands.run(options, async (store) => {
        const values = await together(store, paths.length > 1, (nodes) =>
          Promise.all(paths.map((path) => nodes.readIfPresent(path))),
        );
        return values.includes(undefined) ? EXIT_FAILED : EXIT_OK;
      });
    });
}

function parseCount(argument: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(argument)) {
    throw new InvalidArgumentError('It is a whole number from 1 to 999999999.');
  }
  return Number(argument);
}

function addWatch(commands: StoreCommands): void {
  commands
    .add('watch', 'print the path of each change at or below nodes, one a line', [
      'paravane watch /local/domain',
      'paravane watch -n 2 @releaseDomain    (the first event comes at once)',
    ])
    .argument('<path...>', `${PATH_HELP}; or a happening, @releaseDomain`, collect(parsePath))
    .option('-n, --count <events>', 'end after so many events', parseCount)
    .action(async (paths: string[], options) => {
      const count = options.count ?? Number.POSITIVE_INFINITY;
      await commands.follow(options, (store) =>
        eachEvent(store, paths, count, (path) => commands.line(path)),
      );
    });
}

/** Resolves after `count` events, each of them handed to `print`. */
function eachEvent(
  store: Xenstore,
  paths: readonly string[],
  count: number,
  print: (path: string) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = 0;
    const onEvent = (path: string) => {
      seen++;
      if (seen <= count) print(path);
      if (seen === count) resolve();
    };
    Promise.all(paths.map((path) => store.watch(path, onEvent))).catch(reject);
  });
}
