/** Both layouts of requests, on a real ring. */
import { describe, expect, test } from 'vitest';
import {
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BlkifRequestSegment,
} from '../../src/abi/io/blkif.ts';
import { MemoryDisk } from '../../src/block/memory-disk.ts';
import { x86_32, x86_64 } from '../../src/block/protocol.ts';
import { PAGE_SIZE } from '../../src/hypervisor/contract.ts';
import { BlockHost, XVDA } from './block-host.ts';
import { RawFront } from './raw-front.ts';

describe.each([
  ['x86_64-abi', x86_64],
  ['x86_32-abi', x86_32],
])('a front end with %s', (name, protocol) => {
  async function connected(persistent: string) {
    const host = await BlockHost.start();
    const guest = await host.guest();
    const disk = new MemoryDisk(1 << 20);
    await host.attachDisk(guest, disk);
    const front = new RawFront(host, guest, XVDA, protocol);
    await front.publish({ protocol: name, 'feature-persistent': persistent });
    return { host, guest, disk, front };
  }
  const id = 0x0123_4567_89ab_cdefn;

  test.each(['0', '1'])('reads, writes and flushes, feature-persistent %s', async (persistent) => {
    const { host, guest, disk, front } = await connected(persistent);
    front.data.page(0).fill(3);
    const segments = [{ gref: front.data.refs[0]!, first_sect: 1, last_sect: 2 }];
    const write = { operation: BLKIF_OP_WRITE, id, sector_number: 9, segments };
    expect(await front.ask(write)).toEqual([{ id, operation: BLKIF_OP_WRITE, status: 0 }]);
    expect(disk.bytes.indexOf(3)).toBe(9 * 512);
    expect(disk.bytes.lastIndexOf(3)).toBe(11 * 512 - 1);
    disk.bytes.fill(4, 9 * 512, 10 * 512);
    expect(await front.ask({ ...write, operation: BLKIF_OP_READ })).toMatchObject([{ status: 0 }]);
    expect([511, 512, 1023, 1024].map((at) => front.data.page(0)[at])).toEqual([3, 4, 4, 3]);
    expect(await front.ask({ operation: BLKIF_OP_FLUSH_DISKCACHE, id })).toEqual([
      { id, operation: BLKIF_OP_FLUSH_DISKCACHE, status: 0 },
    ]);
    await host.destroy(guest, [front.device]);
    expect(await host.endAll()).toEqual([]);
  });

  test('writes and reads through indirect segments', async () => {
    const { host, guest, disk, front } = await connected('1');
    const pages = guest.hypervisor.grants.share(host.process.hypervisor.domid, 32, 'read-write');
    for (let page = 0; page < 32; page++) {
      const at = page * BlkifRequestSegment.size;
      const segment = BlkifRequestSegment.view(front.data.page(0), at);
      segment.gref = pages.refs[page]!;
      segment.first_sect = 0;
      segment.last_sect = 7;
      pages.page(page).fill(page + 1);
    }
    for (const operation of [BLKIF_OP_WRITE, BLKIF_OP_READ]) {
      front.put({ operation: BLKIF_OP_INDIRECT });
      const request = protocol.indirect.view(front.lastSlot());
      request.indirect_op = operation;
      request.nr_segments = 32;
      request.id = id;
      request.sector_number = 8;
      request.indirect_grefs = [...front.data.refs];
      front.push();
      await host.settle();
      expect(front.responses()).toEqual([{ id, operation, status: 0 }]);
      const expected = Array.from({ length: 32 }, (_, page) => page + 1);
      expect(expected.map((value) => disk.bytes[value * PAGE_SIZE])).toEqual(expected);
      expect(expected.map((value) => pages.page(value - 1)[PAGE_SIZE - 1])).toEqual(expected);
      for (let page = 0; page < 32; page++) pages.page(page).fill(0);
    }
    await host.settle();
    pages.close();
    await host.destroy(guest, [front.device]);
    expect(await host.endAll()).toEqual([]);
  });

  test('discards', async () => {
    const { host, guest, disk, front } = await connected('1');
    disk.bytes.fill(1);
    front.put({ operation: BLKIF_OP_DISCARD });
    const request = protocol.discard.view(front.lastSlot());
    request.id = id;
    request.sector_number = 4;
    request.nr_sectors = 3;
    front.push();
    await host.settle();
    expect(front.responses()).toEqual([{ id, operation: BLKIF_OP_DISCARD, status: 0 }]);
    expect(disk.bytes.indexOf(0)).toBe(4 * 512);
    expect(disk.bytes.lastIndexOf(0)).toBe(7 * 512 - 1);
    await host.destroy(guest, [front.device]);
    expect(await host.endAll()).toEqual([]);
  });
});
