/** Node's own protocols over a vchan between two ends in shared memory. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { type Duplex, Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { VchanInterface } from '../../src/abi/io/libxenvchan.ts';
import { DOM0 } from '../../src/base/ids.ts';
import { vchanDuplex } from '../../src/node/vchan-duplex.ts';
import { connectVchan } from '../../src/vchan/client.ts';
import { VchanServer } from '../../src/vchan/server.ts';
import { LocalHost } from '../vchan/shared-memory/local-host.ts';

const PATH = '/vchan';

let host: LocalHost;

beforeEach(async () => {
  host = await LocalHost.start();
});
afterEach(() => host.close());

/** Both ends; the server's is handed over as a server of Node's hands over its sockets. */
async function ends(size = 4096): Promise<{ client: Duplex; server: Duplex }> {
  const [left, right] = [await host.end(), await host.end()];
  let accepted = (_: Duplex) => {};
  const server = new Promise<Duplex>((resolve) => {
    accepted = resolve;
  });
  const options = { client: DOM0, path: PATH, receive_min: size, send_min: size };
  const listening = await VchanServer.listen(left, options, (vchan) =>
    accepted(vchanDuplex(vchan)),
  );
  const client = vchanDuplex(await connectVchan(right, DOM0, PATH));
  const both = { client, server: await server };
  await listening.close();
  return both;
}

test('pipeline() carries a stream to its end and closes both ends', async () => {
  const { client, server } = await ends();
  const bytes = randomBytes(3_000_000);
  const chunks: Buffer[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      setImmediate(done);
    },
  });
  await Promise.all([pipeline(Readable.from([bytes]), client), pipeline(server, sink)]);
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  expect([client.writableFinished, server.readableEnded]).toEqual([true, true]);
});

test('end() leaves what the peer had sent to be read', async () => {
  const { client, server } = await ends();
  server.write('answer');
  client.end('question');
  expect(await buffer(server)).toEqual(Buffer.from('question'));
  expect(await buffer(client)).toEqual(Buffer.from('answer'));
});

test('a slow reader holds the writer back', async () => {
  const { client, server } = await ends(2048);
  expect(client.write(Buffer.alloc(200_000))).toBe(false);
  await once(server, 'readable');
  expect(client.writableLength).toBe(200_000);
  let length = 0;
  server.on('data', (chunk: Buffer) => {
    length += chunk.length;
  });
  await once(client, 'drain');
  client.end();
  await once(server, 'end');
  expect(length).toBe(200_000);
});

test('writing to a peer that is gone fails with ECONNRESET', async () => {
  const { client, server } = await ends();
  server.destroy();
  client.write(Buffer.alloc(100_000));
  expect(await once(client, 'error')).toMatchObject([{ code: 'ECONNRESET' }]);
  expect(client.destroyed).toBe(true);
});

test('a peer that breaks a rule destroys the stream with it', async () => {
  const left = await host.end();
  const right = await host.end();
  const listening = await VchanServer.listen(left, { client: DOM0, path: PATH }, () => {});
  const ref = Number(await right.xenstore.read(`${PATH}/ring-ref`));
  const page = right.hypervisor.grants.map(DOM0, [ref as never]);
  const client = vchanDuplex(await connectVchan(right, DOM0, PATH));
  client.resume();
  VchanInterface.view(page.bytes).right_prod = 0xffff;
  VchanInterface.view(page.bytes).right_cons = 1;
  client.write('a');
  expect(await once(client, 'error')).toMatchObject([{ code: 'EPROTO' }]);
  page.close();
  await listening.close();
});

test('HTTP runs over it', async () => {
  const { client, server } = await ends();
  const web = createServer((message, response) => {
    buffer(message).then((body) => response.end(`${message.method} ${message.url} ${body.length}`));
  });
  web.emit('connection', server);
  const ask = (path: string, body: Buffer) =>
    new Promise<string>((resolve, reject) => {
      const options = { path, method: 'PUT', headers: { connection: 'keep-alive' } };
      request({ ...options, createConnection: () => client }, (response) => {
        buffer(response).then((answer) => resolve(`${answer}`), reject);
      })
        .on('error', reject)
        .end(body);
    });
  expect(await ask('/a', Buffer.alloc(100_000))).toBe('PUT /a 100000');
  client.destroy();
  await once(server, 'close');
  web.close();
});

test('TLS runs over it', async () => {
  const key = join(host.directory, 'key.pem');
  const cert = join(host.directory, 'cert.pem');
  const subject = ['-subj', '/CN=vchan', '-days', '2'];
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const openssl = ['req', '-x509', ...ec, '-keyout', key, '-out', cert, ...subject];
  execFileSync('openssl', openssl, { stdio: 'pipe' });
  const { client, server } = await ends();
  const secured = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (socket) =>
    socket.pipe(socket),
  );
  secured.emit('connection', server);
  const tls = connectTls({ socket: client, ca: readFileSync(cert), servername: 'vchan' });
  const bytes = randomBytes(300_000);
  tls.write(bytes);
  let got = Buffer.alloc(0);
  for await (const chunk of tls as AsyncIterable<Buffer>) {
    got = Buffer.concat([got, chunk]);
    if (got.length === bytes.length) break;
  }
  expect(tls.authorized).toBe(true);
  expect(got.equals(bytes)).toBe(true);
  tls.destroy();
  secured.close();
});
