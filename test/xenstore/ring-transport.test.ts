import { describe, expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { PAGE_SIZE, type Pages } from '../../src/hypervisor/contract.ts';
import { nodeClock } from '../../src/node/clock.ts';
import { XenstoreClient } from '../../src/xenstore/client.ts';
import { encodePacket, encodeStrings } from '../../src/xenstore/packet.ts';
import { PacketStream } from '../../src/xenstore/packet-stream.ts';
import { xenstoreRingStream } from '../../src/xenstore/ring-transport.ts';
import { startXenstored } from '../../src/xenstored/server.ts';
import { channelPair, turnEnds } from '../ring/fake-channel.ts';

/** The page as one side maps it. */
function mapping(memory: Uint8Array): Pages & { closed: boolean } {
  return {
    count: 1,
    bytes: memory,
    page: () => memory,
    closed: false,
    close() {
      this.closed = true;
    },
  };
}

function ends() {
  const memory = new Uint8Array(PAGE_SIZE);
  const [clientChannel, serverChannel] = channelPair();
  const [clientPages, serverPages] = [mapping(memory), mapping(memory)];
  const client = xenstoreRingStream(clientPages, clientChannel, 'client');
  return { memory, client, clientPages, serverPages, clientChannel, serverChannel };
}

describe('the xenstore ring', () => {
  const packet = { type: 2, requestId: 1, transactionId: 0, payload: encodeStrings('/a') };
  const word = (memory: Uint8Array, at: number) => new DataView(memory.buffer).getUint32(at, true);

  test('has requests and replies where xs_wire.h has them', () => {
    const { memory, client, serverPages, serverChannel } = ends();
    const server = xenstoreRingStream(serverPages, serverChannel, 'server');
    const bytes = encodePacket(packet);
    client.write(bytes);
    expect(memory.subarray(0, bytes.length)).toEqual(bytes);
    expect(word(memory, 2052)).toBe(bytes.length);
    expect(new PacketStream(server).receive()).toEqual(packet);
    expect(word(memory, 2048), 'what the server has not given free').toBe(0);
    server.release();
    expect(word(memory, 2048)).toBe(bytes.length);
    server.write(bytes.subarray(0, 5));
    expect(memory.subarray(1024, 1029)).toEqual(bytes.subarray(0, 5));
    expect(word(memory, 2060)).toBe(5);
    expect(client.read(new Uint8Array(100))).toBe(5);
    expect(word(memory, 2056)).toBe(5);
  });

  test('lets go of its page and its channel', () => {
    const { client, clientPages, clientChannel } = ends();
    client.close();
    client.close();
    expect(clientPages.closed).toBe(true);
    expect(clientChannel.closed).toBe(true);
  });

  test('carries what is larger than itself, through a whole client and a whole xenstored', async () => {
    const { client, serverPages, clientChannel, serverChannel } = ends();
    const xenstored = startXenstored({ clock: nodeClock, log: silentLog });
    xenstored.attachKernelRing(serverPages, serverChannel);
    const store = new XenstoreClient(client, nodeClock);
    let delivering = true;
    const delivery = (async () => {
      while (delivering) {
        clientChannel.deliver();
        serverChannel.deliver();
        await turnEnds();
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const value = 'v'.repeat(2000);
    await Promise.all(Array.from({ length: 20 }, (_, i) => store.write(`/a/${i}`, value)));
    const values = await Promise.all(Array.from({ length: 20 }, (_, i) => store.read(`/a/${i}`)));
    expect(values.every((read) => read === value)).toBe(true);
    delivering = false;
    await delivery;
    store.close();
    xenstored.close();
  });

  test('with impossible indexes ends the client', async () => {
    const { memory, client, clientChannel } = ends();
    const store = new XenstoreClient(client, nodeClock);
    const pending = store.read('/a');
    pending.catch(() => {});
    await turnEnds();
    new DataView(memory.buffer).setUint32(2060, 4000, true);
    clientChannel.peer?.notify();
    await turnEnds();
    clientChannel.deliver();
    await expect(pending).rejects.toMatchObject({ code: 'ECONNRESET' });
    store.close();
  });
});
