/** The page that a domain shares with xenstored, as a byte stream: docs/misc/xenstore-ring.txt. */
import { XENSTORE_RING_SIZE, XenstoreDomainInterface } from '../abi/io/xs_wire.ts';
import type { EventChannel, Pages } from '../hypervisor/contract.ts';
import type { ByteRing } from '../ring/byte-ring.ts';
import { RingStream } from '../ring/ring-stream.ts';

/**
 * The first of `pages` as a stream, from the side of the domain (`client`) or of xenstored
 * (`server`), which keeps its input in the ring until `release`. The channel belongs to the stream from here on: closed with it.
 *
 * @param release called once when the stream closes; closes the pages if not given
 */
export function xenstoreRingStream(
  pages: Pages,
  channel: EventChannel,
  role: 'client' | 'server',
  release: () => void = () => pages.close(),
): RingStream {
  const { offset } = XenstoreDomainInterface;
  const page = pages.page(0);
  const requests: ByteRing = {
    name: 'xenstore requests',
    data: page.subarray(offset.req, offset.req + XENSTORE_RING_SIZE),
    page,
    cons: offset.req_cons,
    prod: offset.req_prod,
  };
  const replies: ByteRing = {
    name: 'xenstore replies',
    data: page.subarray(offset.rsp, offset.rsp + XENSTORE_RING_SIZE),
    page,
    cons: offset.rsp_cons,
    prod: offset.rsp_prod,
  };
  const [incoming, outgoing] = role === 'client' ? [replies, requests] : [requests, replies];
  const keepsInput = role === 'server';
  return new RingStream({ incoming, outgoing, channel, release, keepsInput });
}
