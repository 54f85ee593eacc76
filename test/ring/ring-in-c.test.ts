/** Our rings against the C macros of xen/io/ring.h, byte for byte, in every combination of ends. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BLKIF_OP_WRITE, BlkifRequest, BlkifResponse } from '../../src/abi/io/blkif.ts';
import { Sring } from '../../src/abi/io/ring.ts';
import { BackRing } from '../../src/ring/back-ring.ts';
import { FrontRing } from '../../src/ring/front-ring.ts';
import { missingForProbe } from '../abi/c-compiler.ts';

const messages = { request: BlkifRequest, response: BlkifResponse };
const missing = missingForProbe();
const title = missing === undefined ? 'the macros of ring.h' : `skipped: ${missing}`;

let directory: string;

function cEnd(page: Uint8Array, ...args: string[]): { page: Uint8Array; notify: boolean } {
  const run = spawnSync(join(directory, 'c-ends'), args, { input: page });
  expect(run.status).toBe(0);
  return { page: new Uint8Array(run.stdout), notify: String(run.stderr) === 'notify 1\n' };
}

function ourFront(page: Uint8Array, start: number, count: number) {
  const ring = new FrontRing(page, messages, start);
  const bytes = new Uint8Array(BlkifRequest.size);
  const request = BlkifRequest.view(bytes);
  for (let n = 0; n < count && ring.free > 0; n++) {
    request.operation = BLKIF_OP_WRITE;
    request.nr_segments = n % 11;
    request.id = 0xfedcba9800000000n + BigInt(n);
    request.sector_number = n * 8;
    request.seg[10]!.last_sect = 7;
    ring.putRequest(bytes);
  }
  return { ring, notify: ring.pushRequests() };
}

function ourBack(page: Uint8Array) {
  const ring = new BackRing(page, messages);
  const requestBytes = new Uint8Array(BlkifRequest.size);
  const request = BlkifRequest.view(requestBytes);
  const responseBytes = new Uint8Array(BlkifResponse.size);
  const response = BlkifResponse.view(responseBytes);
  for (let n = ring.unconsumedRequests(); n > 0; n--) {
    ring.takeRequest(requestBytes);
    response.id = request.id;
    response.operation = request.operation;
    response.status = -request.nr_segments;
    ring.putResponse(responseBytes);
  }
  const notify = ring.wantsNotification();
  return { notify: !ring.finalCheckForRequests() && notify };
}

/** The padding of the header is ours: src/ring/begun-answer.ts. C's back end leaves it at zero. */
function withoutPadding(page: Uint8Array): Uint8Array {
  return page.slice().fill(0, Sring.offset.__pad, Sring.offset.ring);
}

describe.skipIf(missing !== undefined)(title, () => {
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'paravane-ring-'));
    const source = fileURLToPath(new URL('c-ends.c', import.meta.url));
    const build = spawnSync('cc', ['-O1', '-Wall', '-o', join(directory, 'c-ends'), source]);
    expect(String(build.stderr)).toBe('');
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const cases = [
    [0, 0],
    [0, 1],
    [0, 32],
    [0, 40],
    [0xfffffff0, 32],
    [0xffffffff, 1],
    [0x7ffffffe, 5],
  ];

  test.each(cases)('write the same front end from %i on, %i requests', (start, count) => {
    const theirs = cEnd(new Uint8Array(4096), 'front', String(start), String(count));
    const page = new Uint8Array(4096);
    expect(ourFront(page, start, count).notify).toBe(theirs.notify);
    expect(page).toEqual(theirs.page);
  });

  test.each(cases)('write the same back end from %i on, %i requests', (start, count) => {
    const page = new Uint8Array(4096);
    const { ring } = ourFront(page, start, count);
    const theirs = cEnd(page, 'back');
    expect(ourBack(page).notify).toBe(theirs.notify);
    expect(withoutPadding(page)).toEqual(theirs.page);

    const pushed = Math.min(count, 32);
    const responseBytes = new Uint8Array(BlkifResponse.size);
    const response = BlkifResponse.view(responseBytes);
    expect(ring.unconsumedResponses()).toBe(pushed);
    for (let n = 0; n < pushed; n++) {
      ring.takeResponse(responseBytes);
      expect(response.id).toBe(0xfedcba9800000000n + BigInt(n));
      expect(response.status).toBe(0 - (n % 11));
    }
  });
});
