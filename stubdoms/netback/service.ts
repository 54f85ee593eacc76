/** The network back end as a service: everything that it is made of, whatever world it runs in. */
import { NetBack } from '../../src/net/back.ts';
import { type VifNetwork, vifName } from '../../src/net/back-request.ts';
import type { NetFeature } from '../../src/net/features.ts';
import {
  type BackService,
  type BackServiceOptions,
  type BackServiceParts,
  startBackService,
} from '../back-service.ts';

export interface NetbackParts extends BackServiceParts<NetFeature> {
  /** The host's side of the interface of that name, such as `vif3.0`. */
  readonly networkFor: (name: string) => VifNetwork;
}

export type NetbackOptions = BackServiceOptions<NetFeature>;

/** Serves every network interface whose back end the toolstack puts into this domain, below `vif` unless told otherwise. */
export function startNetback(parts: NetbackParts): Promise<BackService> {
  return startBackService(
    parts,
    'vif',
    (common, { peer, devid }) =>
      new NetBack({ ...common, network: parts.networkFor(vifName(peer, devid)) }),
  );
}
