/**
 * What a back end tells of a device that it serves, through the device's directory in xenstore: who
 * wants to know empties the node `statistics`, and the back end fills it. So it works whatever
 * domain the back end runs in.
 */
import { XenError } from '../base/errors.ts';
import type { DiskCounts } from './counted-disk.ts';

export const STATISTICS_KEY = 'statistics';

export interface BlockStatistics {
  readonly counts: DiskCounts;
  /** Milliseconds since this back end connected to the front end. */
  readonly connected_ms: number;
  readonly queues: number;
  /** Slots of each ring. */
  readonly ringSlots: number;
  /** Pages of the front end's that are mapped for as long as they are in use. */
  readonly persistentPages: number;
}

export function statisticsText(statistics: BlockStatistics): string {
  return JSON.stringify(statistics);
}

/** Reads a node that `statisticsText` filled. Throws EINVAL for anything else. */
export function parseStatistics(text: string): BlockStatistics {
  try {
    const found = JSON.parse(text) as BlockStatistics;
    if (typeof found.counts.read.operations === 'number') return found;
  } catch (error) {
    throw new XenError('EINVAL', 'read the statistics of a disk', 'they make no sense', error);
  }
  throw new XenError('EINVAL', 'read the statistics of a disk', 'there are no counts');
}
