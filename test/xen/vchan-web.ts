/**
 * A web server for vchan.test.ts, in dom0 or a guest: at /N it answers with N bytes, to PUT with the
 * SHA-256 of what it was sent.
 *
 *   node vchan-web.mjs SOCKET [CERTIFICATE KEY]
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';

/** Pseudo-random bytes that both sides can make. */
function pseudoRandom(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

const answer: RequestListener = (message, response) => {
  if (message.method !== 'PUT') {
    response.end(pseudoRandom(Number(message.url?.slice(1))));
    return;
  }
  const hash = createHash('sha256');
  message.on('data', (chunk) => hash.update(chunk));
  message.on('end', () => response.end(hash.digest('hex')));
};

const [, , socket, certificate, key] = process.argv;
const server =
  certificate === undefined || key === undefined
    ? createServer(answer)
    : createSecureServer({ cert: readFileSync(certificate), key: readFileSync(key) }, answer);
server.listen(socket, () => console.log(`web serves at ${socket}`));
