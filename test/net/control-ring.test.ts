/** The control ring of a guest that asks for everything, right or wrong. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER as INVALID,
  XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED as NOT_SUPPORTED,
  XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW as OVERFLOW,
  XEN_NETIF_CTRL_STATUS_SUCCESS as SUCCESS,
} from '../../src/abi/io/netif.ts';
import { MAPPING_ENTRIES_MAX } from '../../src/net/steering.ts';
import type { HostGuest } from '../xenbus/sim-host.ts';
import type { NetHost } from './net-host.ts';
import { packet } from './packets.ts';
import type { RawFront } from './raw-front.ts';
import { expectNothingLeft, startRawGuest } from './raw-guest.ts';

let host: NetHost;
let guest: HostGuest;
let front: RawFront;

beforeEach(async () => {
  ({ host, guest, front } = await startRawGuest());
});

afterEach(() => expectNothingLeft({ host, guest, front }));

describe('the control ring', () => {
  const GET_FLAGS = 1;
  const SET_FLAGS = 2;
  const SET_KEY = 3;
  const GET_MAPPING_SIZE = 4;
  const SET_MAPPING_SIZE = 5;
  const SET_MAPPING = 6;
  const SET_ALGORITHM = 7;

  test('refuses what does not fit, and does the rest (XSA-270)', async () => {
    await front.publishControl();
    const [page] = front.data.refs as unknown as [number];
    const words = new Uint32Array(front.data.page(0).buffer, front.data.page(0).byteOffset, 8);
    const expectations: [number[], number][] = [
      [[0], NOT_SUPPORTED],
      [[11], NOT_SUPPORTED],
      [[0xffff], NOT_SUPPORTED],
      [[GET_FLAGS], NOT_SUPPORTED],
      [[SET_FLAGS, 1], NOT_SUPPORTED],
      [[SET_ALGORITHM, 2], INVALID],
      [[SET_ALGORITHM, 1], SUCCESS],
      [[GET_FLAGS], SUCCESS],
      [[SET_FLAGS, 16], INVALID],
      [[SET_FLAGS, 15], SUCCESS],
      [[SET_KEY, page, 41], OVERFLOW],
      [[SET_KEY, page, 0xffffffff], OVERFLOW],
      [[SET_KEY, 31_000, 40], INVALID],
      [[SET_KEY, page, 40], SUCCESS],
      [[SET_KEY, 0, 0], SUCCESS],
      [[SET_MAPPING, page, 1, 0], OVERFLOW],
      [[SET_MAPPING_SIZE, MAPPING_ENTRIES_MAX + 1], INVALID],
      [[SET_MAPPING_SIZE, MAPPING_ENTRIES_MAX], SUCCESS],
      [[SET_MAPPING, page, 4, MAPPING_ENTRIES_MAX - 3], OVERFLOW],
      [[SET_MAPPING, page, 4, 0xfffffffc], OVERFLOW],
      [[SET_MAPPING, page, 0xfffffffc, 4], OVERFLOW],
      [[SET_MAPPING, 31_000, 4, 0], INVALID],
      [[SET_MAPPING, page, 4, MAPPING_ENTRIES_MAX - 4], SUCCESS],
      [[SET_ALGORITHM, 0], SUCCESS],
      [[SET_MAPPING, page, 1, 0], OVERFLOW],
    ];
    for (const [[type, ...data], status] of expectations) {
      const asked = JSON.stringify([type, ...data]);
      expect((await front.configure(type!, ...data)).status, asked).toBe(status);
    }
    expect(await front.configure(GET_MAPPING_SIZE)).toEqual({
      status: SUCCESS,
      result: MAPPING_ENTRIES_MAX,
    });
    // A queue that there is not.
    await front.configure(SET_MAPPING_SIZE, 2);
    words[1] = 1;
    expect((await front.configure(SET_MAPPING, page, 2, 0)).status).toBe(INVALID);
    front.putPacket(packet());
    expect(await front.ask()).toEqual([0]);
  });

  test('fails the device by an index that cannot be', async () => {
    await front.publishControl();
    front.control.publish(1000);
    front.controlChannel.notify();
    await host.settle();
    expect(await front.backState()).toBe('5');
  });
});
