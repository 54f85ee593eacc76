/** As much of xenstore as the console daemon uses: values and watches, in memory. */
import { XenError } from '../../src/base/errors.ts';
import type { DomId } from '../../src/base/ids.ts';
import { domainHome, isAtOrBelow } from '../../src/xenstore/path.ts';
import type {
  Permission,
  Xenstore,
  XenstoreNodes,
  XenstoreWatch,
} from '../../src/xenstore/xenstore.ts';

interface Watch {
  readonly path: string;
  readonly handler: (changedPath: string) => void;
}

const soon = (job: () => void) => void Promise.resolve().then(job);

export class MemoryXenstore implements Xenstore {
  readonly nodes = new Map<string, string>();
  private readonly watches = new Set<Watch>();

  get watchCount(): number {
    return this.watches.size;
  }

  /** Tells the watches of `path` that it has changed, or that it has happened. */
  fire(path: string): void {
    for (const watch of this.watches) {
      const concerned = path === watch.path || (path[0] === '/' && isAtOrBelow(path, watch.path));
      if (!concerned) continue;
      soon(() => {
        if (this.watches.has(watch)) watch.handler(path);
      });
    }
  }

  put(values: Readonly<Record<string, string | number>>): void {
    for (const [path, value] of Object.entries(values)) this.nodes.set(path, String(value));
    for (const path of Object.keys(values)) this.fire(path);
  }

  async readIfPresent(path: string): Promise<string | undefined> {
    return this.nodes.get(path);
  }

  async write(path: string, value: string): Promise<void> {
    this.put({ [path]: value });
  }

  async remove(path: string): Promise<void> {
    for (const node of [...this.nodes.keys()]) {
      if (isAtOrBelow(node, path)) this.nodes.delete(node);
    }
    this.fire(path);
  }

  async list(path: string): Promise<string[]> {
    const below = [...this.nodes.keys()].filter((node) => node.startsWith(`${path}/`));
    if (below.length === 0) throw new XenError('ENOENT', `list ${path}`);
    return [...new Set(below.map((node) => node.slice(path.length + 1).split('/')[0] as string))];
  }

  async setPermissions(): Promise<void> {
    // Everybody may do everything here.
  }

  transaction<Result>(body: (nodes: XenstoreNodes) => Promise<Result>): Promise<Result> {
    return body(this);
  }

  async watch(path: string, handler: (changedPath: string) => void): Promise<XenstoreWatch> {
    const watch: Watch = { path, handler };
    this.watches.add(watch);
    soon(() => handler(path));
    return {
      path,
      close: async () => {
        this.watches.delete(watch);
      },
    };
  }

  async domainPath(domid: DomId): Promise<string> {
    return domainHome(domid);
  }

  read = this.refuse<string>('read');
  mkdir = this.refuse<void>('mkdir');
  getPermissions = this.refuse<Permission[]>('getPermissions');
  isDomainIntroduced = this.refuse<boolean>('isDomainIntroduced');
  introduce = this.refuse<void>('introduce');
  release = this.refuse<void>('release');
  setTarget = this.refuse<void>('setTarget');
  control = this.refuse<string>('control');

  close(): void {
    this.watches.clear();
  }

  private refuse<Result>(operation: string): () => Promise<Result> {
    return () => Promise.reject(new XenError('ENOSYS', operation));
  }
}
