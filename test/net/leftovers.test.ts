/** The rest of a frame that waits for room. */
import { expect, test } from 'vitest';
import type { Frame } from '../../src/net/frame.ts';
import { Leftovers } from '../../src/net/leftovers.ts';
import { noCounts } from '../../src/net/network-interface.ts';
import { frame } from './packets.ts';

test('parts keep their order and their bytes, and what is left in the end is counted', () => {
  const put: number[] = [];
  let room = 1;
  const counts = noCounts();
  const leftovers = new Leftovers(({ bytes }: Frame) => {
    if (room === 0) return false;
    room--;
    put.push(bytes[0]!);
    return true;
  }, counts);
  const memory = new Uint8Array(1);
  for (const value of [1, 2, 3, 4, 5]) {
    memory[0] = value;
    leftovers.add(frame(memory));
  }
  expect([put, leftovers.isEmpty]).toEqual([[1], false]);
  room = 2;
  expect([leftovers.proceed(), put]).toEqual([false, [1, 2, 3]]);
  memory[0] = 6;
  room = 1;
  leftovers.add(frame(memory));
  expect(put).toEqual([1, 2, 3]);
  leftovers.drop();
  expect([counts.sent.dropped.room, leftovers.proceed()]).toEqual([3, true]);
});
