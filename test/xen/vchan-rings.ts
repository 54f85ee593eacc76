/**
 * Vchans with rings of every size, in one process of dom0 or a guest:
 *
 *   node vchan-rings.mjs offer CLIENT PATH        at PATH-10 to PATH-20, for rings of 2^10 to 2^20 bytes,
 *                                                 sends back what comes from domain CLIENT until SIGTERM
 *   node vchan-rings.mjs visit SERVER PATH BYTES  goes to each of these in turn, sends random bytes and
 *                                                 compares what comes back: BYTES through the largest
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { domId } from '../../src/base/ids.ts';
import { openLinuxHypervisor } from '../../src/hypervisor/linux/hypervisor.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { vchanDuplex } from '../../src/node/vchan-duplex.ts';
import { connectXenstore } from '../../src/node/xenstore-access.ts';
import { VchanConnector } from '../../src/vchan/client.ts';
import { VCHAN_RING_MAX } from '../../src/vchan/rings.ts';
import { VchanServer } from '../../src/vchan/server.ts';
import { RING_ORDERS } from '../vchan/ring-orders.ts';

const PORTION = 65_536;

const [, , role, domain, path, most] = process.argv;
const peer = domId(Number(domain));
const hypervisor = openLinuxHypervisor();
const xenstore = await connectXenstore({ native: loadNative });
const host = { hypervisor, xenstore, clock: nodeClock };

async function offer(): Promise<void> {
  const servers: VchanServer[] = [];
  for (const order of RING_ORDERS) {
    const size = 2 ** order;
    const rings = { receive_min: size, send_min: size, connections_max: 1 };
    const server = await VchanServer.listen(
      host,
      { client: peer, path: `${path}-${order}`, ...rings },
      (vchan) => {
        const stream = vchanDuplex(vchan);
        // A client that ends while its bytes are on their way back does no harm.
        stream.on('error', () => {});
        stream.pipe(stream);
      },
    );
    servers.push(server);
  }
  console.log(`rings of all sizes are offered by ${process.pid}`);
  await once(process, 'SIGTERM');
  for (const server of servers) await server.close();
  console.log('none is offered any more');
}

/** Sends random bytes; resolves with the digest of what was sent. */
async function send(stream: Duplex, length: number): Promise<string> {
  const hash = createHash('sha256');
  for (let left = length; left > 0; left -= PORTION) {
    const bytes = randomBytes(Math.min(left, PORTION));
    hash.update(bytes);
    if (!stream.write(bytes)) await once(stream, 'drain');
  }
  return hash.digest('hex');
}

/** Resolves with the digest of the next `length` bytes. */
async function receive(stream: Duplex, length: number): Promise<string> {
  const hash = createHash('sha256');
  let left = length;
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    hash.update(chunk);
    left -= chunk.length;
    if (left <= 0) break;
  }
  if (left !== 0) throw new Error(`${length} bytes were sent, ${length - left} came back`);
  return hash.digest('hex');
}

async function visit(): Promise<void> {
  for (const order of RING_ORDERS) {
    const size = 2 ** order;
    const lengths = [1, 1000, 2 * size + 1, size === VCHAN_RING_MAX ? Number(most) : 16 * size];
    const connector = await VchanConnector.open(host, peer, `${path}-${order}`);
    const stream = vchanDuplex(await connector.connect());
    for (const length of lengths) {
      const [sent, came] = await Promise.all([send(stream, length), receive(stream, length)]);
      if (sent !== came) throw new Error(`${length} bytes did not come back whole`);
    }
    stream.destroy();
    await connector.close();
    console.log(`whole through ${size}: ${lengths.join(' ')}`);
  }
}

await (role === 'offer' ? offer() : visit());
xenstore.close();
hypervisor.close();
