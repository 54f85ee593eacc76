/**
 * What a back end tells of an interface that it serves, through the device's directory in xenstore:
 * who wants to know empties the node `statistics`, and the back end fills it. So it works whatever
 * domain the back end runs in.
 */
import { XenError } from '../base/errors.ts';
import type { InterfaceCounts } from './network-interface.ts';
import type { PortCounts } from './switch-port.ts';

export const STATISTICS_KEY = 'statistics';

export interface NetStatistics {
  /** Seen from the host: `sent` is what the guest has received. */
  readonly counts: InterfaceCounts;
  /** What has passed the interface's place in the network: `in` came from the guest. */
  readonly port: PortCounts;
  /** Milliseconds since this back end connected to the front end. */
  readonly connected_ms: number;
  readonly queues: number;
  /** The guest takes frames. */
  readonly carrier: boolean;
}

export function statisticsText(statistics: NetStatistics): string {
  return JSON.stringify(statistics);
}

const areNumbers = (counts: object) =>
  Object.entries(counts).every(
    ([name, count]) => /^([a-z]{1,20}|\d)$/.test(name) && typeof count === 'number',
  );

/** Reads a node that `statisticsText` filled, perhaps in another domain. Throws EINVAL for anything else. */
export function parseStatistics(text: string): NetStatistics {
  const operation = 'read the statistics of an interface';
  try {
    const found = JSON.parse(text) as NetStatistics;
    const { counts, port, connected_ms, queues } = found;
    const directions = [counts.sent, counts.received, port.in, port.out];
    const isWhole = directions.every(
      ({ frames, bytes, dropped }) => areNumbers([frames, bytes]) && areNumbers(dropped),
    );
    if (isWhole && areNumbers([connected_ms, queues])) return found;
  } catch (error) {
    throw new XenError('EINVAL', operation, 'they make no sense', error);
  }
  throw new XenError('EINVAL', operation, 'there are no counts');
}
