/** The block back end as a service: everything that it is made of, whatever world it runs in. */
import { BlockBack } from '../../src/block/back.ts';
import type { OpenDisk } from '../../src/block/back-disk.ts';
import type { BlockFeature } from '../../src/block/features.ts';
import {
  type BackService,
  type BackServiceOptions,
  type BackServiceParts,
  startBackService,
} from '../back-service.ts';

export interface BlkbackParts extends BackServiceParts<BlockFeature> {
  /** Opens the disk that the toolstack asks for. */
  readonly openDisk: OpenDisk;
}

export type BlkbackOptions = BackServiceOptions<BlockFeature>;

/** Serves every disk whose back end the toolstack puts into this domain, below `vbd` unless told otherwise. */
export function startBlkback(parts: BlkbackParts): Promise<BackService> {
  const { openDisk } = parts;
  return startBackService(parts, 'vbd', (common) => new BlockBack({ ...common, openDisk }));
}
