import { expect } from 'vitest';
import { type GrantRef, grantRef } from '../../src/base/ids.ts';
import { PAGE_SIZE } from '../../src/hypervisor/contract.ts';
import { type ConformanceTest, expectMistake, type Harness } from './harness.ts';

const NO_GRANT = grantRef(0xfffffff0);

function onePage({ a, b }: Harness, access: 'read' | 'read-write' = 'read-write') {
  const shared = a.grants.share(b.domid, 1, access);
  return { shared, ref: shared.refs[0] as GrantRef };
}

export function copyConformance(conforms: ConformanceTest): void {
  results(conforms);
  betweenPeers(conforms);
  limits(conforms);
}

function results(conforms: ConformanceTest): void {
  conforms('fromPeer fills the local bytes from the peer at the offset', (harness) => {
    const { a, b } = harness;
    const { shared, ref } = onePage(harness);
    shared.page(0).set([1, 2, 3], 100);
    const local = new Uint8Array(3);
    const batch = b.grants.copyBatch(1);
    expect(batch.fromPeer(a.domid, ref, 100, local)).toBe(0);
    expect(batch.run()).toBe(0);
    expect(batch.status(0)).toBe(0);
    expect([...local]).toEqual([1, 2, 3]);
  });

  conforms('toPeer fills the peer at the offset from the local bytes', (harness) => {
    const { a, b } = harness;
    const { shared, ref } = onePage(harness);
    const batch = b.grants.copyBatch(1);
    batch.toPeer(a.domid, ref, PAGE_SIZE - 2, new Uint8Array([8, 9]));
    expect(batch.run()).toBe(0);
    expect([...shared.page(0).subarray(PAGE_SIZE - 3)]).toEqual([0, 8, 9]);
  });

  conforms('a copy touches no byte beside its own', (harness) => {
    const { a, b } = harness;
    const { shared, ref } = onePage(harness);
    shared.page(0).fill(7);
    const around = new Uint8Array(12);
    const batch = b.grants.copyBatch(1);
    batch.fromPeer(a.domid, ref, 1, around.subarray(4, 8));
    batch.run();
    expect([...around]).toEqual([0, 0, 0, 0, 7, 7, 7, 7, 0, 0, 0, 0]);
  });

  conforms('copies take parts of arrays, of the same and of others', (harness) => {
    const { a, b } = harness;
    const { shared, ref } = onePage(harness);
    shared.page(0).set([1, 2, 3, 4], 100);
    const [one, two] = [new Uint8Array(6), new Uint8Array(4)];
    const batch = b.grants.copyBatch(6);
    batch.fromPeer(a.domid, ref, 100, one, 1, 2);
    batch.fromPeer(a.domid, ref, 103, one, 5);
    batch.fromPeer(a.domid, ref, 101, two, 2, 2);
    batch.fromPeer(a.domid, ref, 102, one, 4, 1);
    batch.toPeer(a.domid, ref, 200, two, 3);
    batch.toPeer(a.domid, ref, 204, two, 4, 0);
    expect(batch.run()).toBe(0);
    expect([...one]).toEqual([0, 1, 2, 0, 3, 4]);
    expect([...two]).toEqual([0, 0, 2, 3]);
    expect([...shared.page(0).subarray(199, 202)]).toEqual([0, 3, 0]);
  });

  conforms('a copy works on local bytes that span pages of a share', (harness) => {
    const { a, b } = harness;
    const { shared, ref } = onePage(harness);
    shared.page(0).fill(5);
    const local = b.grants.share(a.domid, 2, 'read').bytes;
    const batch = b.grants.copyBatch(1);
    batch.fromPeer(a.domid, ref, 0, local.subarray(100, 100 + PAGE_SIZE));
    expect(batch.run()).toBe(0);
    expect(local.indexOf(5)).toBe(100);
    expect(local.lastIndexOf(5)).toBe(99 + PAGE_SIZE);
  });

  conforms('copies are done in order', (harness) => {
    const { a, b } = harness;
    const { shared, ref } = onePage(harness);
    const back = new Uint8Array(1);
    const batch = b.grants.copyBatch(3);
    batch.toPeer(a.domid, ref, 0, new Uint8Array([1]));
    batch.fromPeer(a.domid, ref, 0, back);
    batch.toPeer(a.domid, ref, 0, new Uint8Array([2]));
    expect(batch.run()).toBe(0);
    expect(back[0]).toBe(1);
    expect(shared.page(0)[0]).toBe(2);
  });

  conforms('a page granted for reading only can be copied from', (harness) => {
    const { a, b } = harness;
    const { shared, ref } = onePage(harness, 'read');
    shared.page(0)[0] = 6;
    const local = new Uint8Array(1);
    const batch = b.grants.copyBatch(1);
    batch.fromPeer(a.domid, ref, 0, local);
    expect(batch.run()).toBe(0);
    expect(local[0]).toBe(6);
  });

  conforms('a page granted for reading only cannot be copied to', (harness) => {
    const { a, b } = harness;
    const { shared, ref } = onePage(harness, 'read');
    const batch = b.grants.copyBatch(1);
    batch.toPeer(a.domid, ref, 0, new Uint8Array([1]));
    expect(batch.run()).toBe(1);
    expect(batch.status(0)).toBeLessThan(0);
    expect(shared.page(0)[0]).toBe(0);
  });

  conforms(
    'memory for copies is zeroed and as long as was asked, and takes part in them',
    (harness) => {
      const { a, b } = harness;
      const { shared, ref } = onePage(harness);
      const memory = b.grants.copyMemory(PAGE_SIZE + 5);
      expect([memory.length, memory.some((byte) => byte !== 0)]).toEqual([PAGE_SIZE + 5, false]);
      shared.page(0).set([4, 5], 0);
      const batch = b.grants.copyBatch(1);
      batch.fromPeer(a.domid, ref, 0, memory.subarray(PAGE_SIZE - 1, PAGE_SIZE + 1));
      expect(batch.run()).toBe(0);
      expect([...memory.subarray(PAGE_SIZE - 2, PAGE_SIZE + 2)]).toEqual([0, 4, 5, 0]);
    },
  );

  conforms('a page granted to another domain cannot be copied', ({ a, b, other }) => {
    const shared = a.grants.share(other, 1, 'read-write');
    shared.page(0)[0] = 1;
    const local = new Uint8Array(1);
    const batch = b.grants.copyBatch(2);
    batch.fromPeer(a.domid, shared.refs[0] as GrantRef, 0, local);
    batch.toPeer(a.domid, shared.refs[0] as GrantRef, 1, new Uint8Array([1]));
    expect(batch.run()).toBe(2);
    expect(local[0]).toBe(0);
    expect(shared.page(0)[1]).toBe(0);
  });

  conforms('a page of a domain that does not exist cannot be copied', ({ b, other }) => {
    const batch = b.grants.copyBatch(1);
    batch.fromPeer(other, grantRef(8), 0, new Uint8Array(1));
    expect(batch.run()).toBe(1);
    expect(batch.status(0)).toBeLessThan(0);
  });

  conforms('a refused copy has a negative status and does not stop the others', (harness) => {
    const { a, b } = harness;
    const { shared, ref } = onePage(harness);
    const batch = b.grants.copyBatch(3);
    batch.toPeer(a.domid, ref, 0, new Uint8Array([1]));
    batch.toPeer(a.domid, NO_GRANT, 0, new Uint8Array([2]));
    batch.toPeer(a.domid, ref, 1, new Uint8Array([3]));
    expect(batch.run()).toBe(1);
    expect([0, 1, 2].map((index) => Math.sign(batch.status(index)))).toEqual([0, -1, 0]);
    expect([...shared.page(0).subarray(0, 2)]).toEqual([1, 3]);
  });

  conforms('a page cannot be copied after its grant was revoked', (harness) => {
    const { a, b } = harness;
    const { shared, ref } = onePage(harness);
    shared.close();
    const batch = b.grants.copyBatch(1);
    batch.fromPeer(a.domid, ref, 0, new Uint8Array(1));
    expect(batch.run()).toBe(1);
  });
}

function betweenPeers(conforms: ConformanceTest): void {
  /** Two pages that `a` grants: one to be read, one to be written. */
  const twoPages = (harness: Harness) => ({
    source: onePage(harness, 'read'),
    target: onePage(harness),
    from: harness.a.domid,
  });

  conforms('between fills one granted page from another, and no byte beside', (harness) => {
    const { source, target, from } = twoPages(harness);
    source.shared.page(0).set([1, 2, 3, 4], 10);
    target.shared.page(0).fill(9);
    const batch = harness.b.grants.copyBatch(1);
    expect(batch.between(from, source.ref, 11, from, target.ref, PAGE_SIZE - 3, 2)).toBe(0);
    expect(batch.run()).toBe(0);
    expect([...target.shared.page(0).subarray(PAGE_SIZE - 5)]).toEqual([9, 9, 2, 3, 9]);
    expect([...source.shared.page(0).subarray(9, 15)]).toEqual([0, 1, 2, 3, 4, 0]);
  });

  conforms('between takes its place among other copies', (harness) => {
    const { source, target, from } = twoPages(harness);
    source.shared.page(0).set([1, 2, 3], 0);
    const [one, two] = [new Uint8Array(1), new Uint8Array(2)];
    const batch = harness.b.grants.copyBatch(5);
    batch.fromPeer(from, source.ref, 0, one);
    batch.between(from, source.ref, 1, from, target.ref, 0, 2);
    batch.fromPeer(from, target.ref, 1, one);
    batch.between(from, source.ref, 0, from, target.ref, 5, 0);
    batch.fromPeer(from, target.ref, 0, two);
    expect(batch.run()).toBe(0);
    expect([[...one], [...two]]).toEqual([[3], [2, 3]]);
  });

  conforms('between is refused where either side is, and the others are done', (harness) => {
    const { source, target, from } = twoPages(harness);
    source.shared.page(0).fill(1);
    const batch = harness.b.grants.copyBatch(4);
    batch.between(from, NO_GRANT, 0, from, target.ref, 0, 1);
    batch.between(from, source.ref, 0, from, NO_GRANT, 0, 1);
    batch.between(from, target.ref, 0, from, source.ref, 0, 1);
    batch.between(from, source.ref, 0, from, target.ref, 1, 1);
    expect(batch.run()).toBe(3);
    expect([0, 1, 2, 3].map((index) => Math.sign(batch.status(index)))).toEqual([-1, -1, -1, 0]);
    expect([...target.shared.page(0).subarray(0, 3)]).toEqual([0, 1, 0]);
    expect(source.shared.page(0)[0]).toBe(1);
  });

  conforms('between rejects what crosses the end of a page, on either side', (harness) => {
    const { source, target, from } = twoPages(harness);
    const batch = harness.b.grants.copyBatch(1);
    for (const [sourceOffset, targetOffset, length] of [
      [PAGE_SIZE - 1, 0, 2],
      [0, PAGE_SIZE - 1, 2],
      [-1, 0, 1],
      [0, -1, 1],
      [0, 0.5, 1],
      [0, 0, -1],
      [0, 0, 0.5],
    ] as const) {
      expectMistake(() =>
        batch.between(from, source.ref, sourceOffset, from, target.ref, targetOffset, length),
      );
    }
    expect(batch.length).toBe(0);
    batch.between(from, source.ref, 0, from, target.ref, 0, 1);
    expectMistake(() => batch.between(from, source.ref, 0, from, target.ref, 0, 1));
  });
}

function limits(conforms: ConformanceTest): void {
  conforms('run empties the batch so that it can be filled again', (harness) => {
    const { a, b } = harness;
    const { shared, ref } = onePage(harness);
    const batch = b.grants.copyBatch(2);
    expect([batch.capacity, batch.length]).toEqual([2, 0]);
    for (let round = 1; round <= 3; round++) {
      batch.toPeer(a.domid, ref, 0, new Uint8Array([round]));
      expect(batch.toPeer(a.domid, ref, 1, new Uint8Array([round]))).toBe(1);
      expect(batch.length).toBe(2);
      expect(batch.run()).toBe(0);
      expect(batch.length).toBe(0);
      expect([...shared.page(0).subarray(0, 2)]).toEqual([round, round]);
    }
  });

  conforms('status rejects the index of a copy that was not in the last batch', (harness) => {
    const { a, b } = harness;
    const { ref } = onePage(harness);
    const batch = b.grants.copyBatch(2);
    expectMistake(() => batch.status(0));
    batch.toPeer(a.domid, ref, 0, new Uint8Array(1));
    batch.run();
    expect(batch.status(0)).toBe(0);
    for (const index of [-1, 1, 0.5]) expectMistake(() => batch.status(index));
  });

  conforms('run of an empty batch does nothing', ({ b }) => {
    expect(b.grants.copyBatch(1).run()).toBe(0);
  });

  conforms('one copy more than the capacity is rejected and the others stay', (harness) => {
    const { a, b } = harness;
    const { shared, ref } = onePage(harness);
    const batch = b.grants.copyBatch(1);
    batch.toPeer(a.domid, ref, 0, new Uint8Array([1]));
    expectMistake(() => batch.toPeer(a.domid, ref, 1, new Uint8Array([1])));
    expect(batch.length).toBe(1);
    expect(batch.run()).toBe(0);
    expect([...shared.page(0).subarray(0, 2)]).toEqual([1, 0]);
  });

  conforms('a copy across the end of the peer page is rejected', (harness) => {
    const { a, b } = harness;
    const { ref } = onePage(harness);
    const batch = b.grants.copyBatch(1);
    for (const [offset, length] of [
      [PAGE_SIZE - 1, 2],
      [PAGE_SIZE, 1],
      [0, PAGE_SIZE + 1],
      [-1, 1],
      [0.5, 1],
    ] as const) {
      expectMistake(() => batch.fromPeer(a.domid, ref, offset, new Uint8Array(length)));
      expectMistake(() => batch.toPeer(a.domid, ref, offset, new Uint8Array(length)));
    }
    expect(batch.length).toBe(0);
  });

  conforms('a copy beyond the end of the local array is rejected', (harness) => {
    const { a, b } = harness;
    const { ref } = onePage(harness);
    const batch = b.grants.copyBatch(1);
    const local = new Uint8Array(4);
    for (const [at, length] of [
      [0, 5],
      [4, 1],
      [5, 0],
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [0, 0.5],
    ] as const) {
      expectMistake(() => batch.fromPeer(a.domid, ref, 0, local, at, length));
      expectMistake(() => batch.toPeer(a.domid, ref, 0, local, at, length));
    }
    expect(batch.length).toBe(0);
  });

  conforms('copyBatch rejects a capacity that is no number of copies', ({ b }) => {
    for (const capacity of [0, -1, 1.5]) expectMistake(() => b.grants.copyBatch(capacity));
  });
}
