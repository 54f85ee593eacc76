/** How frames lie in our memory: so that Xen, which copies page by page, has few pieces to copy. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  NETTXF_csum_blank,
  NETTXF_extra_info,
  NETTXF_more_data,
  NetifRxRequest,
  NetifRxResponse,
  NetifTxRequest,
  NetifTxResponse,
} from '../../src/abi/io/netif.ts';
import { domId } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import { type EventChannel, type GrantTable, PAGE_SIZE } from '../../src/hypervisor/contract.ts';
import {
  copyOperation,
  GrantCopyBatch,
  type GrantedPlace,
} from '../../src/hypervisor/grant-copy.ts';
import { BackReceive } from '../../src/net/back-receive.ts';
import { BackTransmit } from '../../src/net/back-transmit.ts';
import { ExtraInfoWriter } from '../../src/net/extra-info.ts';
import { FRAME_BYTES_MAX } from '../../src/net/frame.ts';
import { FrameArena } from '../../src/net/frame-arena.ts';
import { MulticastFilter } from '../../src/net/multicast-filter.ts';
import { noCounts } from '../../src/net/network-interface.ts';
import { TokenBucket } from '../../src/net/token-bucket.ts';
import { FrontRing } from '../../src/ring/front-ring.ts';

const PEER = domId(3);
const HEADERS = 14 + 20 + 20;

interface Copy {
  readonly ref: number;
  readonly offset: number;
  readonly local: Uint8Array;
}

/** Keeps what would be copied, with the memory that it names: what is in that is not looked at. */
class CopyRecord {
  copies: Copy[] = [];

  readonly grants = {
    copyMemory: (bytes: number) => new Uint8Array(bytes),
    copyBatch: (capacity: number) =>
      new GrantCopyBatch(capacity, (words, locals, statuses, count) => {
        for (let copy = 0; copy < count; copy++) {
          const { source, target } = copyOperation(words, locals, copy);
          const [local, granted] =
            source instanceof Uint8Array ? [source, target] : [target, source];
          const { ref, offset } = granted as GrantedPlace;
          this.copies.push({ ref, offset, local: local as Uint8Array });
          // The first piece of what a guest sends has to have headers.
          if (target === local && ref === 0) (target as Uint8Array).set(tcpHeaders);
          statuses[copy] = 0;
        }
      }),
  } as unknown as GrantTable;

  take(): Copy[] {
    return this.copies.splice(0);
  }
}

const tcpHeaders = new Uint8Array(HEADERS);
tcpHeaders[12] = 0x08;
tcpHeaders[14] = 0x45;
tcpHeaders[23] = 6;
tcpHeaders[46] = 0x50;

function setLength(length: number): void {
  tcpHeaders[16] = (length - 14) >> 8;
  tcpHeaders[17] = (length - 14) & 0xff;
}

const crossesPage = ({ local }: Copy) => (local.byteOffset % PAGE_SIZE) + local.length > PAGE_SIZE;

const ends = () => {
  const record = new CopyRecord();
  const shared = {
    grants: record.grants,
    peer: PEER,
    clock: { now_ms: () => 0, wallclock_ms: () => 0, after: () => ({ cancel: () => {} }) },
    channel: { notify: () => {} } as EventChannel,
    counts: noCounts(),
    onViolation: (error: unknown) => {
      throw error;
    },
  };
  const receiveMemory = new Uint8Array(PAGE_SIZE);
  const receive = new BackReceive({
    ...shared,
    memory: receiveMemory,
    signalsOffers: true,
    onRoom: () => {},
    onStall: () => {},
  });
  const transmitMemory = new Uint8Array(PAGE_SIZE);
  const transmit = new BackTransmit({
    ...shared,
    memory: transmitMemory,
    log: silentLog,
    mtu: 1500,
    bucket: new TokenBucket(shared.clock, undefined),
    multicast: new MulticastFilter(),
    leavesRests: () => false,
    onFrames: (frames) => {
      for (const frame of frames) expect(receive.put(frame, undefined)).toBe(true);
      receive.flush();
    },
  });
  return { record, receive, receiveMemory, transmit, transmitMemory };
};

/** The pages of a guest that offers all of a ring. */
function offerPages(memory: Uint8Array): void {
  const ring = new FrontRing(memory, { request: NetifRxRequest, response: NetifRxResponse });
  const bytes = new Uint8Array(NetifRxRequest.size);
  const request = NetifRxRequest.view(bytes);
  for (let id = 0; ring.free > 0; id++) {
    request.id = id;
    request.gref = id;
    ring.putRequest(bytes);
  }
  ring.pushRequests();
}

/** Puts one large segment into the ring as Linux does: the headers in a page, then what `offset` leaves of a page, then whole ones. */
function sendSegment(memory: Uint8Array, headers: number, offset: number, length: number): void {
  const ring = new FrontRing(memory, { request: NetifTxRequest, response: NetifTxResponse });
  const bytes = new Uint8Array(NetifTxRequest.size);
  const request = NetifTxRequest.view(bytes);
  setLength(length);
  const put = (ref: number, at: number, size: number, flags: number) => {
    request.gref = ref;
    request.offset = at;
    request.flags = flags;
    request.id = ref;
    request.size = size;
    ring.putRequest(bytes);
  };
  put(0, 100, length, NETTXF_csum_blank | NETTXF_extra_info | NETTXF_more_data);
  const extra = new Uint8Array(NetifTxRequest.size);
  new ExtraInfoWriter(extra).writeGso({ type: 'tcpv4', size: 1448 }, false);
  ring.putRequest(extra);
  let [ref, at, left] = [1, offset, length - headers];
  while (left > 0) {
    const size = Math.min(left, PAGE_SIZE - at);
    left -= size;
    put(ref++, at, size, left > 0 ? NETTXF_more_data : 0);
    at = 0;
  }
  ring.pushRequests();
}

const segments = {
  headers: fc.integer({ min: HEADERS, max: 300 }),
  offset: fc.integer({ min: 0, max: PAGE_SIZE - 1 }),
  length: fc.integer({ min: 2 * PAGE_SIZE, max: 60_000 }),
};

test('a large segment is copied from guest to guest with no copy over the end of a page of ours', () => {
  fc.assert(
    fc.property(fc.record(segments), ({ headers, offset, length }) => {
      const { record, receiveMemory, transmit, transmitMemory } = ends();
      offerPages(receiveMemory);
      sendSegment(transmitMemory, headers, offset, length);
      transmit.serve();
      const copies = record.take();
      const sent = copies.findIndex(({ ref }, index) => index > 0 && ref === 0);
      const [fetched, put] = [copies.slice(0, sent), copies.slice(sent)];
      expect(fetched.slice(1).filter(crossesPage)).toEqual([]);
      expect(put.reduce((sum, { local }) => sum + local.length, 0)).toBe(length);
      const [first] = put as [Copy];
      const toPageEnd = PAGE_SIZE - (first.local.byteOffset % PAGE_SIZE);
      // A first slot without all headers would be worse than a further copy.
      if (toPageEnd >= HEADERS) expect(put.filter(crossesPage)).toEqual([]);
      expect(first.local.length).toBeGreaterThanOrEqual(HEADERS);
      expect(put.length).toBeLessThanOrEqual(Math.ceil(length / PAGE_SIZE) + 1);
    }),
  );
});

test('frames in memory do not overlap, short ones lie in one page, long ones begin where asked', () => {
  const frames = fc.array(
    fc.record({
      length: fc.oneof(
        fc.integer({ min: 14, max: 1514 }),
        fc.integer({ min: 14, max: FRAME_BYTES_MAX }),
      ),
      pageOffset: fc.integer({ min: 0, max: PAGE_SIZE - 1 }),
    }),
    { minLength: 1, maxLength: 100 },
  );
  fc.assert(
    fc.property(frames, (asked) => {
      const arena = new FrameArena();
      let end = 0;
      for (const { length, pageOffset } of asked) {
        if (!arena.hasRoom) {
          arena.clear();
          end = 0;
        }
        const { bytes } = arena.add(length, pageOffset);
        expect(bytes.length).toBe(length);
        expect(bytes.byteOffset).toBeGreaterThanOrEqual(end);
        end = bytes.byteOffset + length;
        const inPage = bytes.byteOffset % PAGE_SIZE;
        if (length > PAGE_SIZE) expect(inPage).toBe(pageOffset);
        else expect(inPage + length).toBeLessThanOrEqual(PAGE_SIZE);
      }
    }),
  );
});
