/** What changes seldom: the limits, and what is known of domains. */
import type { DomainState, ServerState } from '../state.ts';
import type { ByteWriter } from './byte-writer.ts';
import {
  putConnection,
  putCounters,
  putDomain,
  putDomainGone,
  putSettings,
  type Settings,
} from './entries.ts';

export interface SettingsSource {
  /** Another number whenever something of it may be another. */
  readonly settingsRevision: number;
  settings(): Pick<ServerState, 'quotas' | 'specialPermissions' | 'domains'>;
}

function settingsOf({
  quotas,
  specialPermissions,
}: Pick<ServerState, 'quotas' | 'specialPermissions'>): Settings {
  return { quotas, specialPermissions: [...specialPermissions] };
}

export class SettingsJournal {
  private readonly source: SettingsSource;
  private revision = -1;
  /** As last recorded. */
  private text = '';
  private readonly domains = new Map<number, string>();

  constructor(source: SettingsSource) {
    this.source = source;
  }

  /** Records what is another than when it was last recorded. */
  record(out: ByteWriter): void {
    if (this.revision === this.source.settingsRevision) return;
    this.revision = this.source.settingsRevision;
    const { domains, ...others } = this.source.settings();
    const settings = settingsOf(others);
    const text = JSON.stringify(settings);
    if (text !== this.text) putSettings(out, settings);
    this.text = text;
    this.recordDomains(out, domains);
  }

  private recordDomains(out: ByteWriter, domains: readonly DomainState[]): void {
    const gone = new Set(this.domains.keys());
    for (const domain of domains) {
      gone.delete(domain.domid);
      const text = JSON.stringify(domain);
      if (this.domains.get(domain.domid) === text) continue;
      this.domains.set(domain.domid, text);
      putDomain(out, domain);
    }
    for (const domid of gone) {
      this.domains.delete(domid);
      putDomainGone(out, domid);
    }
  }
}

/** Everything but the nodes. */
export function putStateWithoutNodes(out: ByteWriter, state: Omit<ServerState, 'nodes'>): void {
  putCounters(out, state.generation, state.lastIncarnation);
  putSettings(out, settingsOf(state));
  for (const domain of state.domains) putDomain(out, domain);
  for (const connection of state.connections) putConnection(out, connection);
}
