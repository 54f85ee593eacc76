/** The program `paravane` as users have it, and what asks a daemon to become another. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const CHECKOUT = resolve(import.meta.dirname, '../..');
const XENSTORE_CONTROL = '/usr/lib/xen-4.17/bin/xenstore-control';

/** What this machine lacks to ask for a live update as operators do, or `undefined`. */
export function missingForControl(): string | undefined {
  return existsSync(XENSTORE_CONTROL) ? undefined : `no ${XENSTORE_CONTROL} (xen-utils-4.17)`;
}

/** The bundled program, in a directory that the caller removes. Below the checkout, so that it finds the shim. */
export function bundleProgram(): { readonly path: string; readonly directory: string } {
  const directory = mkdtempSync(join(CHECKOUT, 'dist-test-'));
  execFileSync(join(CHECKOUT, 'scripts/build'), [directory], { stdio: 'pipe' });
  return { path: join(directory, 'paravane.js'), directory };
}

export interface Said {
  readonly code: number;
  readonly text: string;
}

/** Runs a program to its end. */
export function run(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<Said> {
  return new Promise((done) => {
    const child = execFile(program, args, { env }, (_, out, error) => {
      done({ code: child.exitCode ?? -1, text: `${out}${error}` });
    });
  });
}

/** Asks the daemon as an operator does. */
export function liveUpdate(
  env: NodeJS.ProcessEnv,
  file: string,
  ...options: readonly string[]
): Promise<Said> {
  return run(XENSTORE_CONTROL, ['live-update', ...options, file], env);
}

/** Our xenstored as a process of its own, which serves a socket and no rings. */
export class OurProcess {
  readonly directory = mkdtempSync(join(tmpdir(), 'paravane-live-update-'));
  readonly environment: NodeJS.ProcessEnv;
  readonly process: ChildProcess;
  private output = '';

  private constructor(program: string) {
    this.environment = {
      ...process.env,
      XENSTORED_RUNDIR: this.directory,
      XENSTORED_PATH: this.socketPath,
    };
    this.process = spawn(program, ['run', 'xenstored', '--no-domain-init'], {
      env: this.environment,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.process.stderr?.on('data', (text) => {
      this.output += text;
    });
  }

  /** Resolves once it serves. */
  static async start(program: string): Promise<OurProcess> {
    const started = new OurProcess(program);
    while (!started.log.includes('is ready')) {
      if (started.process.exitCode !== null) throw new Error(started.log);
      await once(started.process.stderr as NonNullable<ChildProcess['stderr']>, 'data');
    }
    return started;
  }

  get socketPath(): string {
    return join(this.directory, 'socket');
  }

  /** All that it wrote, in each of its lives. */
  get log(): string {
    return this.output;
  }

  async close(): Promise<void> {
    const exited = once(this.process, 'exit');
    if (this.process.exitCode === null && this.process.kill('SIGTERM')) await exited;
    rmSync(this.directory, { recursive: true });
  }
}
