import { expect, test } from 'vitest';
import type { XenbusState } from '../../src/abi/io/xenbus.ts';
import { type BackView, nextBackMove } from '../../src/xenbus/back-device.ts';
import { nextFrontMove } from '../../src/xenbus/front-device.ts';

const states: XenbusState[] = [0, 1, 2, 3, 4, 5, 6, 7, 8];

function back(own: number, peer: number, more: Partial<BackView> = {}) {
  return nextBackMove({
    own: own as XenbusState,
    peer: peer as XenbusState,
    online: true,
    connected: false,
    failed: false,
    ...more,
  });
}

test('a back end goes from Initialising to InitWait to Connected', () => {
  expect(back(1, 1)).toBe('announce');
  expect(back(2, 1)).toBe('stay');
  expect(back(2, 3)).toBe('connect');
  expect(back(4, 3, { connected: true })).toBe('stay');
  expect(back(4, 4, { connected: true })).toBe('stay');
});

test('a back end shows InitWait even to a front end that is ahead of it', () => {
  expect(back(1, 3)).toBe('announce');
  expect(back(1, 4)).toBe('announce');
  expect(back(0, 4)).toBe('announce');
});

test('a back end connects to a front end that goes to Connected directly', () => {
  expect(back(2, 4)).toBe('connect');
});

test('a back end follows a front end that closes', () => {
  expect(back(4, 5, { connected: true })).toBe('closing');
  expect(back(5, 5, { connected: true })).toBe('stay');
  expect(back(5, 6, { connected: true })).toBe('closed');
  expect(back(6, 6)).toBe('stay');
});

test('a back end that stays online begins again with a front end that comes back', () => {
  expect(back(6, 1)).toBe('announce');
  expect(back(5, 1)).toBe('announce');
  expect(back(4, 1, { connected: true })).toBe('announce');
});

test('a back end waits in Closed until its front end has been at Initialising', () => {
  expect(back(6, 3)).toBe('stay');
  expect(back(6, 4)).toBe('stay');
  expect(back(5, 4)).toBe('stay');
});

test('a back end whose former process died connects again without a new handshake', () => {
  expect(back(4, 4)).toBe('connect');
  expect(back(4, 3)).toBe('connect');
});

test('a back end that goes offline waits for a connected front end and for no other', () => {
  expect(back(5, 4, { online: false, connected: true })).toBe('stay');
  expect(back(4, 4, { online: false, connected: true })).toBe('closing');
  for (const peer of [0, 1, 2, 3, 4, 5, 6, 7, 8]) {
    expect(back(5, peer, { online: false })).toBe('closed');
  }
});

test('a back end whose front end vanished or makes no sense is closed', () => {
  for (const own of states) {
    expect(back(own, 0, { connected: true })).toBe('closed');
    expect(back(own, 0)).toBe(own === 6 ? 'stay' : 'closed');
  }
});

test('a failed back end touches nothing until its front end has closed', () => {
  for (const peer of [1, 2, 3, 4, 7, 8]) expect(back(5, peer, { failed: true })).toBe('stay');
  expect(back(5, 6, { failed: true })).toBe('closed');
});

test('every view of a back end leads to rest, and never from rest', () => {
  const result: Record<string, { own: XenbusState; connected: boolean }> = {
    announce: { own: 2, connected: false },
    connect: { own: 4, connected: true },
    closed: { own: 6, connected: false },
  };
  for (const own of states) {
    for (const peer of states) {
      for (const bits of [0, 1, 2, 3, 4, 5, 6, 7]) {
        let view: BackView = {
          own,
          peer,
          online: (bits & 1) !== 0,
          connected: (bits & 2) !== 0,
          failed: (bits & 4) !== 0,
        };
        let steps = 0;
        for (let move = nextBackMove(view); move !== 'stay'; move = nextBackMove(view)) {
          view = move === 'closing' ? { ...view, own: 5 } : { ...view, ...result[move] };
          steps++;
          expect(steps, JSON.stringify({ own, peer, bits })).toBeLessThan(4);
        }
      }
    }
  }
});

function front(own: number, peer: number, closing = false) {
  return nextFrontMove({ own: own as XenbusState, peer: peer as XenbusState, closing });
}

test('a front end goes from Initialising to Initialised to Connected', () => {
  expect(front(1, 1)).toBe('stay');
  expect(front(1, 2)).toBe('offer');
  expect(front(3, 2)).toBe('stay');
  expect(front(3, 4)).toBe('connect');
});

test('a connected front end looks again when its back end says Connected again', () => {
  expect(front(4, 4)).toBe('connect');
});

test('a front end closes with its back end', () => {
  for (const peer of [0, 5, 6]) expect(front(4, peer)).toBe('closed');
});

test('a front end that begins waits out the end of the cycle before', () => {
  for (const peer of [0, 5, 6]) expect(front(1, peer)).toBe('stay');
});

test('a front end that closes by itself waits for its back end', () => {
  expect(front(4, 4, true)).toBe('closing');
  expect(front(5, 4, true)).toBe('stay');
  expect(front(5, 5, true)).toBe('closed');
  expect(front(6, 5, true)).toBe('stay');
});
