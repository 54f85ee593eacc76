/** What lets the xenstoreds of Debian's xen-utils-4.17 run on any machine, without Xen: stand-in.c. */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PAGE_SIZE } from '../../../src/hypervisor/contract.ts';

export const C_XENSTORED = '/usr/lib/xen-4.17/bin/xenstored';
const SOURCE = join(import.meta.dirname, 'stand-in.c');

/** As in stand-in.c. */
export const VIRQ_PORT = 1;

/** What this machine lacks to run C's xenstored, or `undefined`. */
export function missingForCDaemon(): string | undefined {
  if (!existsSync(C_XENSTORED)) return `no ${C_XENSTORED} (package xen-utils-4.17)`;
  if (!existsSync('/usr/include/xenevtchn.h')) return 'no Xen headers (package libxen-dev)';
  if (spawnSync('cc', ['--version']).error !== undefined) return 'no C compiler (package gcc)';
  return undefined;
}

/** Compiles one of our own C files; what the compiler says of it becomes the error. */
export function compile(source: string, target: string, ...flags: readonly string[]): void {
  const compiled = spawnSync('cc', ['-Wall', '-Werror', '-o', target, source, ...flags], {
    encoding: 'utf8',
  });
  if (compiled.status !== 0) throw new Error(`cc: ${compiled.stderr}`);
}

/** An empty page that a domain shares with xenstored. */
export function makePage(directory: string, name: string): void {
  writeFileSync(join(directory, name), Buffer.alloc(PAGE_SIZE));
}

/**
 * Makes the stand-in and its files in `directory`, where the daemon's socket will be. Returns the
 * environment that the daemon is to be started with.
 */
export function setUpStandIn(directory: string): NodeJS.ProcessEnv {
  const library = join(directory, 'stand-in.so');
  compile(SOURCE, library, '-shared', '-fPIC', '-O1', '-ldl');
  makePage(directory, 'xsd_kva');
  makePage(directory, 'virqs');
  writeFileSync(join(directory, 'xsd_port'), '1');
  spawnSync('mkfifo', [join(directory, 'events')]);
  return {
    ...process.env,
    LD_PRELOAD: library,
    STAND_IN_DIR: directory,
    XENSTORED_RUNDIR: directory,
    XENSTORED_ROOTDIR: directory,
  };
}
