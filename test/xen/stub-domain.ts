/** Stub domains in the lab, made by xl and watched through their consoles. */
import type { Lab } from '../../scripts/lab/lab.ts';

/** Emulated, a domain needs its time; a machine under load more. */
const LIMIT_MS = 120_000;

export interface StubDomainConfig {
  readonly name: string;
  /** Path of the image. */
  readonly image: string;
  /** Path of a bundle for an image that has none. */
  readonly bundle?: string;
  readonly memory_mib?: number;
  readonly commandLine?: string;
  /** Lines for xl. */
  readonly disks?: readonly string[];
}

function xlConfig(config: StubDomainConfig) {
  const { name, image, bundle, memory_mib = 8, commandLine = '', disks = [] } = config;
  return [
    `name = "${name}"`,
    'type = "pvh"',
    `kernel = "${image}"`,
    ...(bundle === undefined ? [] : [`ramdisk = "${bundle}"`]),
    `extra = "${commandLine}"`,
    `memory = ${memory_mib}`,
    'vcpus = 1',
    'shadow_memory = 2',
    `disk = [ ${disks.map((disk) => `"${disk}"`).join(', ')} ]`,
    // What has ended stays to be looked at.
    'on_poweroff = "preserve"',
    'on_crash = "preserve"',
    '',
  ].join('\n');
}

export class StubDomain {
  readonly name: string;
  readonly #lab: Lab;

  private constructor(lab: Lab, name: string) {
    this.#lab = lab;
    this.name = name;
  }

  /** Resolves once the domain has said something. */
  static async create(lab: Lab, config: StubDomainConfig): Promise<StubDomain> {
    const path = `/run/${config.name}.cfg`;
    await lab.run(`cat >${path}`, { input: xlConfig(config) });
    const domain = new StubDomain(lab, config.name);
    await lab.run(`rm -f ${domain.#log}; xl create ${path}`, { timeout_ms: LIMIT_MS });
    await domain.#until('sign of life', async () => {
      return (await domain.console()) !== '' || (await domain.#state()) !== 'runs' || undefined;
    });
    if ((await domain.console()) !== '') return domain;
    throw new Error(`${config.name} has ended before it printed a line\n${lab.lastSeen()}`);
  }

  /** All that the domain has printed. */
  async console(): Promise<string> {
    const { stdout } = await this.#lab.attempt(`cat ${this.#log}`);
    return stdout.replaceAll('\r', '');
  }

  /** Resolves with the match once the console shows `pattern`. */
  shows(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(
      String(pattern),
      async () => pattern.exec(await this.console()) ?? undefined,
    );
  }

  /** Resolves with how the domain has ended, and all that it printed. */
  async end(): Promise<{ readonly crashed: boolean; readonly console: string }> {
    const state = await this.#until('end', async () => {
      const now = await this.#state();
      return now === 'runs' ? undefined : now;
    });
    return { crashed: state === 'crashed', console: await this.console() };
  }

  async domid(): Promise<number> {
    return Number(await this.#lab.run(['xl', 'domid', this.name]));
  }

  async destroy(): Promise<void> {
    await this.#lab.run(['xl', 'destroy', this.name]);
  }

  get #log(): string {
    return `/var/log/xen/console/guest-${this.name}.log`;
  }

  async #state(): Promise<'runs' | 'shut down' | 'crashed'> {
    const line = await this.#lab.run(`xl list ${this.name} | tail -1`);
    // Six letters or dashes: running, blocked, paused, shut down, crashed, dying.
    const [state = ''] = / [r-][b-][p-][s-][c-][d-] /.exec(line) ?? [];
    if (state.includes('c')) return 'crashed';
    return state.includes('s') ? 'shut down' : 'runs';
  }

  async #until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    try {
      return await this.#lab.waitFor(`${what} of ${this.name}`, look, LIMIT_MS);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n--- its console ---\n${await this.console()}`);
    }
  }
}
