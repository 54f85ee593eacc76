import { expect, test } from 'vitest';
import { XenconsInterface } from '../../src/abi/io/console.ts';
import { latin1Decode, latin1Encode } from '../../src/base/bytes.ts';
import {
  backConsole,
  CONSOLE_OUTPUT_SIZE,
  frontConsole,
} from '../../src/console/console-stream.ts';
import { channelPair } from '../ring/fake-channel.ts';

function bothEnds() {
  const page = new Uint8Array(4096);
  const [guestChannel, daemonChannel] = channelPair();
  const front = frontConsole({ page, channel: guestChannel });
  const back = backConsole({ page, channel: daemonChannel });
  return { front, back, view: XenconsInterface.view(page) };
}

test('what the guest prints stands in `out`, what is typed at it in `in`', () => {
  const { front, back, view } = bothEnds();
  front.write(latin1Encode('login:'));
  back.write(latin1Encode('root'));
  expect(latin1Decode(view.out, 0, 6)).toBe('login:');
  expect([view.out_cons, view.out_prod]).toEqual([0, 6]);
  expect(latin1Decode(view.in, 0, 4)).toBe('root');
  expect([view.in_cons, view.in_prod]).toEqual([0, 4]);
  const target = new Uint8Array(10);
  expect(latin1Decode(target, 0, back.read(target))).toBe('login:');
  expect(latin1Decode(target, 0, front.read(target))).toBe('root');
  expect([view.out_cons, view.in_cons]).toEqual([6, 4]);
});

test('one read of the daemon takes all that the guest can have printed', () => {
  const { front, back } = bothEnds();
  const page = new Uint8Array(5000).fill(1);
  expect(front.write(page)).toBe(CONSOLE_OUTPUT_SIZE);
  expect(back.read(new Uint8Array(CONSOLE_OUTPUT_SIZE))).toBe(CONSOLE_OUTPUT_SIZE);
  expect(back.read(new Uint8Array(1))).toBe(0);
});
