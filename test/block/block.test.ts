import { expect, test } from 'vitest';
import { BlockFront } from '../../src/block/front.ts';
import { MemoryDisk } from '../../src/block/memory-disk.ts';
import { startBlkback } from '../../stubdoms/blkback/service.ts';
import { SimHost } from '../xenbus/sim-host.ts';

test('a disk is read and written through the ring', async () => {
  const host = new SimHost();
  const process = host.startProcess();
  const disk = new MemoryDisk(1 << 20);
  const back = await host.finish(
    startBlkback({ ...process, log: host.logger, options: {}, openDisk: async () => disk }),
  );
  const guest = await host.guest();
  const device = await host.attach(guest, 'vbd', 51712, { params: '/disk', mode: 'w' });
  await host.settle();
  expect(await host.value(`${device.back}/state`)).toBe('2');
  const front = await host.finish(BlockFront.connect({ ...guest, log: host.logger, devid: 51712 }));
  expect(front.info).toEqual(disk.info);
  const data = new Uint8Array(300_032).map((_, i) => i * 7 + (i >> 9));
  await host.finish(front.write(4608, [data.subarray(0, 1000), data.subarray(1000)]));
  await host.finish(front.flush());
  expect(Buffer.compare(disk.bytes.subarray(4608, 4608 + data.length), data)).toBe(0);
  const got = new Uint8Array(data.length);
  await host.finish(front.read(4608, [got]));
  expect(Buffer.compare(got, data)).toBe(0);
  await host.finish(front.close());
  console.log(host.log.join('\n'));
  await host.askToClose(device);
  await host.settle();
  await host.removeDirectories(device);
  await host.settle();
  expect(back.devices).toEqual([]);
  await host.finish(back.close());
  expect(await host.end()).toEqual([]);
});
