/**
 * A small guest for the simulator: it has a xenstore ring, a console, a disk and a
 * network interface, and uses them all.
 */
import { SHUTDOWN_poweroff } from '../../abi/sched.ts';
import type { ByteStream } from '../../base/byte-stream.ts';
import { latin1Decode, latin1Encode } from '../../base/bytes.ts';
import { XenError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { Prng } from '../../base/prng.ts';
import type { BlockDevice } from '../../block/block-device.ts';
import { BlockFront } from '../../block/front.ts';
import { frontConsole } from '../../console/console-stream.ts';
import type { SimGuest } from '../../hypervisor/sim/world.ts';
import { arpRequestFrame, parseArpReply } from '../../net/arp.ts';
import { ETHERNET_HEADER_BYTES } from '../../net/frame.ts';
import { NetFront } from '../../net/front.ts';
import { ipv4Text } from '../../net/ipv4-range.ts';
import { macAddressText } from '../../net/mac-address.ts';
import { XenstoreClient } from '../../xenstore/client.ts';
import { xenstoreRingStream } from '../../xenstore/ring-transport.ts';
import { NETWORK } from './host.ts';
import { LineStream } from './line-stream.ts';
import { ETH0, XVDA } from './toolstack.ts';

/** What the guest says when it waits for its operator. */
export const PROMPT = 'type a line: ';

/** How much of its disk the guest writes and reads back: more requests than a ring has slots. */
const TEST_BYTES = 2 * 1024 * 1024;

/** Writes to the disk and reads it back. Rejects when it comes back different. */
async function exerciseDisk(disk: BlockDevice, prng: Prng): Promise<string> {
  const length = Math.min(TEST_BYTES, disk.info.size);
  const written = new Uint8Array(length);
  const words = new Uint32Array(written.buffer);
  for (let i = 0; i < words.length; i++) words[i] = prng.uint32();
  await disk.write(0, [written]);
  await disk.flush();
  const back = new Uint8Array(length);
  await disk.read(0, [back]);
  const different = back.findIndex((byte, i) => byte !== written[i]);
  if (different >= 0) {
    throw new XenError('EIO', 'read the disk back', `byte ${different} is not what was written`);
  }
  return `wrote ${length} bytes, flushed, read them back: the same`;
}

/** Asks who has the first address of the network. Resolves with what was answered. */
function exerciseNetwork(network: NetFront): Promise<string> {
  const gateway = NETWORK.first + 1;
  return new Promise((resolve) => {
    network.onReceive((frames) => {
      for (const { bytes } of frames) {
        const mac = parseArpReply(bytes, ETHERNET_HEADER_BYTES, gateway);
        if (mac !== undefined) resolve(`${ipv4Text(gateway)} is at ${macAddressText(mac)}`);
      }
    });
    const request = { senderMac: network.info.mac, sender: 0, target: gateway };
    const bytes = arpRequestFrame(request);
    network.send([{ bytes, checksum: 'unknown', gso: undefined, hash: undefined }]);
  });
}

/** Lets the guest live until it has powered off. Rejects when a device fails it. */
export async function runGuest(guest: SimGuest, seed: number, log: Log): Promise<void> {
  const { domain, xenstore, console } = guest;
  const store = new XenstoreClient(
    xenstoreRingStream(xenstore.page, xenstore.channel, 'client'),
    domain.clock,
  );
  const terminal: ByteStream = frontConsole({
    page: console.page.page(0),
    channel: console.channel,
    release: () => console.page.close(),
  });
  const lines = new LineStream(terminal);
  const say = (text: string) => lines.write(latin1Encode(text));

  const name = await store.read('name');
  await say(`${name} is up as domain ${await store.read('domid')}\r\n`);
  const { hypervisor, clock } = domain;
  const disk = await BlockFront.connect({ hypervisor, xenstore: store, clock, log, devid: XVDA });
  await say(`xvda has ${disk.info.size / disk.info.sectorSize} sectors\r\n`);
  await say(`${await exerciseDisk(disk, new Prng(seed))}\r\n`);
  const network = await NetFront.connect({
    ...{ hypervisor, xenstore: store, clock, log },
    devid: ETH0,
  });
  await say(`eth0: ${await exerciseNetwork(network)}\r\n`);
  await say(PROMPT);
  const line = latin1Decode(await lines.readLine());
  await say(`you typed "${line}"\r\n`);
  await network.close();
  await disk.close();
  await say('powering off\r\n');
  await lines.drained();
  store.close();
  terminal.close();
  domain.shutdown(SHUTDOWN_poweroff);
}
