import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { VchanInterface } from '../../src/abi/io/libxenvchan.ts';
import { bytePipe } from '../../src/base/byte-pipe.ts';
import type { ByteStream } from '../../src/base/byte-stream.ts';
import type { XenError } from '../../src/base/errors.ts';
import { DOM0, grantRef } from '../../src/base/ids.ts';
import { join } from '../../src/vchan/join.ts';
import type { Vchan } from '../../src/vchan/vchan.ts';
import { pattern, User, VchansHost } from './vchan-host.ts';

/** A client, and behind the server a pipe whose far end is returned. */
async function joined(host: VchansHost, size: number, capacity: number) {
  const { ours, theirs } = await host.connectBoth({ receive_min: size, send_min: size });
  const [near, far] = bytePipe(host.server.clock, capacity);
  let result: { breach: XenError | undefined } | undefined;
  void join(theirs, near, host.server.clock).then((breach) => {
    result = { breach };
  });
  return { client: ours, far, result: () => result };
}

describe('a vchan and a stream that are joined', () => {
  test('carry bytes both ways until the stream ends, and its last bytes arrive', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 0xffffffff }),
        fc.constantFrom(1024, 4096, 65_536),
        fc.constantFrom(1, 100, 65_536),
        fc.integer({ min: 1, max: 30_000 }),
        async (seed, size, capacity, length) => {
          const host = await VchansHost.start(seed, { delayEvent: 0.3, spuriousEvent: 0.2 });
          const { client, far, result } = await joined(host, size, capacity);
          const there = new User(client, host.client.boot.domain.clock);
          const back = new User(far, host.world.clock);
          there.send(pattern(length));
          back.send(pattern(length, 9));
          await host.world.run({ until: () => back.unsent === 0 });
          await host.settle(60_000);
          expect(back.bytes).toEqual(pattern(length));
          far.close();
          await host.settle();
          expect(there.bytes).toEqual(pattern(length, 9));
          expect([result(), client.ended]).toEqual([{ breach: undefined }, true]);
          await host.endAll();
        },
      ),
      { numRuns: 25 },
    );
  });

  test('close when the client has gone, and what it sent arrives', async () => {
    const host = await VchansHost.start();
    const { client, far, result } = await joined(host, 4096, 10);
    expect(client.write(pattern(3000))).toBe(3000);
    client.close();
    const user = new User(far, host.world.clock);
    await host.settle();
    expect(user.bytes).toEqual(pattern(3000));
    expect([far.ended, result()]).toEqual([true, { breach: undefined }]);
    await host.endAll();
  });

  test('wait for the client to read before the vchan closes', async () => {
    const host = await VchansHost.start();
    const { client, far, result } = await joined(host, 4096, 65_536);
    const write = (stream: ByteStream) => stream.write(pattern(3000));
    expect(write(far)).toBe(3000);
    await host.settle();
    far.close();
    await host.settle();
    expect([result(), client.peerGone]).toEqual([undefined, false]);
    expect(client.read(new Uint8Array(3000))).toBe(3000);
    await host.settle();
    expect([result(), client.peerGone]).toEqual([{ breach: undefined }, true]);
    await host.endAll();
  });

  test('tell which rule a client broke', async () => {
    const host = await VchansHost.start();
    let accepted: Vchan | undefined;
    await host.listen({}, (vchan) => {
      accepted = vchan;
    });
    const ref = grantRef(Number(await host.value(`${host.path}/ring-ref`)));
    const client = await host.newClient();
    const page = host.client.hypervisor.grants.map(DOM0, [ref]);
    await host.settle();
    const [near, far] = bytePipe(host.server.clock);
    const breach = join(accepted!, near, host.server.clock);
    VchanInterface.view(page.bytes).left_prod = 5000;
    client.write(pattern(1));
    expect(await host.finish(breach)).toMatchObject({ rule: 'byte ring: prod - cons <= size' });
    expect(far.ended).toBe(true);
    page.close();
    client.close();
    await host.endAll();
  });
});
