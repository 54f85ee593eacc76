/** A network namespace that lasts as long as a test: interfaces, addresses and programs of its own. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);
const OUTPUT_BYTES_MAX = 1 << 24;

/** Why TAP devices cannot be tried here, or `undefined` when they can. */
export function missingForTaps(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root may make TAP devices';
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    return 'there is no /dev/net/tun';
  }
  for (const program of ['ip', 'nsenter', 'unshare', 'busybox']) {
    if (spawnSync(program, ['--help']).error !== undefined) return `there is no ${program}`;
  }
  const unshared = spawnSync('unshare', ['--net', 'true']);
  return unshared.status === 0 ? undefined : 'no network namespace can be made';
}

export interface Ended {
  readonly code: number;
  readonly out: string;
}

/** A command that sends 8 MB by TCP and prints their digest. */
export const sender = (address: string, port: number) =>
  `node -e '
    const bytes = require("crypto").randomBytes(8000000);
    require("net").connect(${port}, "${address}").end(bytes);
    console.log(require("crypto").createHash("sha256").update(bytes).digest("hex"));'`;

/** A command that says when it waits at a port, and prints the digest of what comes there. */
export const receiver = (port: number) =>
  `node -e '
    const hash = require("crypto").createHash("sha256");
    const server = require("net").createServer((socket) => {
      socket.on("data", (bytes) => hash.update(bytes));
      socket.on("end", () => { console.log(hash.digest("hex")); server.close(); socket.end(); });
    });
    server.listen(${port}, "::", () => console.log("listening"));'`;

export class NetworkNamespace {
  private readonly holder: ChildProcess;
  private readonly children: ChildProcess[] = [];

  private constructor(holder: ChildProcess) {
    this.holder = holder;
  }

  static async open(): Promise<NetworkNamespace> {
    const script = 'ip link set lo up && echo ready && exec sleep infinity';
    const holder = spawn('unshare', ['--net', 'sh', '-c', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(holder.stdout!, 'data');
    return new NetworkNamespace(holder);
  }

  private words(command: string): string[] {
    return [`--target=${this.holder.pid}`, '--net', 'sh', '-c', command];
  }

  /** Takes an interface of ours in: whoever has it open keeps it. */
  async take(name: string, addresses: readonly string[] = []): Promise<void> {
    await execFileAsync('ip', ['link', 'set', name, 'netns', String(this.holder.pid)]);
    for (const address of addresses) {
      // An IPv6 address is usable at once without the search for others who have it.
      const nodad = address.includes(':') ? 'nodad' : '';
      await this.run(`ip address add ${address} dev ${name} ${nodad}`);
    }
    await this.run(`ip link set ${name} up`);
  }

  /** Runs a shell command; rejects unless its exit status is 0. */
  async run(command: string): Promise<string> {
    const options = { maxBuffer: OUTPUT_BYTES_MAX };
    const { stdout } = await execFileAsync('nsenter', this.words(command), options);
    return stdout;
  }

  /** Starts a shell command that runs until it ends by itself, or with the namespace. */
  start(command: string): { readonly said: Promise<unknown>; readonly ended: Promise<Ended> } {
    const child = spawn('nsenter', this.words(command), { stdio: ['ignore', 'pipe', 'inherit'] });
    this.children.push(child);
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    const said = once(child.stdout, 'data');
    const ended = once(child, 'close').then(([code]) => ({ code: (code as number) ?? -1, out }));
    return { said, ended };
  }

  /** Waits at a port for what a `sender` sends; resolves once it waits, with the digest to come. */
  async receiver(port: number): Promise<{ readonly digest: Promise<string> }> {
    const { ended, said } = this.start(receiver(port));
    await said;
    return { digest: ended.then(({ out }) => out.replace('listening\n', '')) };
  }

  async close(): Promise<void> {
    for (const child of [...this.children, this.holder]) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
  }
}
