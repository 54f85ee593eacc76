import { expect } from 'vitest';
import { type GrantRef, grantRef } from '../../src/base/ids.ts';
import { PAGE_SIZE, type Pages } from '../../src/hypervisor/contract.ts';
import {
  type ConformanceTest,
  connect,
  countEvents,
  eventually,
  expectMistake,
  type Harness,
  refusal,
} from './harness.ts';

/** A grant reference that nobody has granted. */
const NO_GRANT = grantRef(0xfffffff0);

const cannotMap = ['EINVAL', 'EPERM'];

/** Whether `b` can map `refs` of `a` now. Keeps nothing. */
function canMap({ a, b }: Harness, refs: readonly GrantRef[]): boolean {
  try {
    b.grants.map(a.domid, refs).close();
    return true;
  } catch {
    return false;
  }
}

export function grantConformance(conforms: ConformanceTest): void {
  sharing(conforms);
  mapping(conforms);
  ending(conforms);
  notices(conforms);
}

function sharing(conforms: ConformanceTest): void {
  conforms('share gives zeroed pages with one grant reference each', ({ a, b }) => {
    const shared = a.grants.share(b.domid, 3, 'read-write');
    expect(shared.count).toBe(3);
    expect(new Set(shared.refs).size).toBe(3);
    expect(shared.bytes).toHaveLength(3 * PAGE_SIZE);
    expect(shared.bytes.every((byte) => byte === 0)).toBe(true);
    expect(shared.closed).toBe(false);
  });

  conforms('page is a window on the same memory as bytes', ({ a, b }) => {
    const shared = a.grants.share(b.domid, 2, 'read-write');
    shared.page(1)[3] = 9;
    expect(shared.page(1)).toHaveLength(PAGE_SIZE);
    expect(shared.bytes[PAGE_SIZE + 3]).toBe(9);
  });

  conforms('page rejects an index outside of the pages', ({ a, b }) => {
    const shared = a.grants.share(b.domid, 2, 'read-write');
    for (const index of [-1, 2, 0.5]) expectMistake(() => shared.page(index));
  });

  conforms('share rejects a count that is no number of pages', ({ a, b }) => {
    for (const count of [0, -1, 1.5, Number.NaN]) {
      expectMistake(() => a.grants.share(b.domid, count, 'read-write'));
    }
  });

  conforms('share of more pages than there are grants is refused with ENOSPC', ({ a, b }) => {
    expect(refusal(() => a.grants.share(b.domid, 65536, 'read-write'))).toBe('ENOSPC');
  });

  conforms('shares at the same time have different grant references', ({ a, b }) => {
    const first = a.grants.share(b.domid, 2, 'read-write');
    const second = a.grants.share(b.domid, 2, 'read');
    expect(new Set([...first.refs, ...second.refs]).size).toBe(4);
  });
}

function mapping(conforms: ConformanceTest): void {
  conforms('what the granter writes the mapper reads', ({ a, b }) => {
    const shared = a.grants.share(b.domid, 1, 'read-write');
    const mapped = b.grants.map(a.domid, shared.refs);
    shared.page(0)[100] = 0x5a;
    expect(mapped.page(0)[100]).toBe(0x5a);
  });

  conforms('what the mapper writes the granter reads', ({ a, b }) => {
    const shared = a.grants.share(b.domid, 1, 'read-write');
    const mapped = b.grants.map(a.domid, shared.refs);
    mapped.page(0)[PAGE_SIZE - 1] = 0xa5;
    expect(shared.page(0)[PAGE_SIZE - 1]).toBe(0xa5);
  });

  conforms('Atomics work on both sides of a shared page', ({ a, b }) => {
    const shared = a.grants.share(b.domid, 1, 'read-write');
    const mapped = b.grants.map(a.domid, shared.refs);
    const words = (pages: Pages) => {
      const page = pages.page(0);
      return new Uint32Array(page.buffer, page.byteOffset, PAGE_SIZE / 4);
    };
    Atomics.store(words(shared), 7, 0xfffffffe);
    expect(Atomics.add(words(mapped), 7, 1)).toBe(0xfffffffe);
    expect(Atomics.load(words(shared), 7)).toBe(0xffffffff);
  });

  conforms('pages of one share map as one run of bytes in their order', ({ a, b }) => {
    const shared = a.grants.share(b.domid, 3, 'read-write');
    const mapped = b.grants.map(a.domid, shared.refs);
    for (let page = 0; page < 3; page++) shared.page(page)[0] = page + 1;
    expect(mapped.count).toBe(3);
    expect(mapped.bytes).toHaveLength(3 * PAGE_SIZE);
    expect([0, 1, 2].map((page) => mapped.bytes[page * PAGE_SIZE])).toEqual([1, 2, 3]);
  });

  conforms('pages map in the order of the references asked for', ({ a, b }) => {
    const shared = a.grants.share(b.domid, 3, 'read-write');
    for (let page = 0; page < 3; page++) shared.page(page)[0] = page + 1;
    const mapped = b.grants.map(a.domid, [...shared.refs].reverse());
    expect([0, 1, 2].map((page) => mapped.page(page)[0])).toEqual([3, 2, 1]);
  });

  conforms(
    'pages in any order are one run where the binding has contiguousMaps',
    ({ a, b }, ctx) => {
      ctx.skip(!b.supports.contiguousMaps, 'the binding has no contiguousMaps');
      const shared = a.grants.share(b.domid, 2, 'read-write');
      shared.page(0)[0] = 1;
      const mapped = b.grants.map(a.domid, [...shared.refs].reverse());
      expect(mapped.bytes[PAGE_SIZE]).toBe(1);
    },
  );

  conforms('pages in another order refuse bytes without contiguousMaps', ({ a, b }, ctx) => {
    ctx.skip(b.supports.contiguousMaps, 'the binding has contiguousMaps');
    const shared = a.grants.share(b.domid, 2, 'read-write');
    const mapped = b.grants.map(a.domid, [...shared.refs].reverse());
    expect(refusal(() => mapped.bytes)).toBe('ENOTSUP');
  });

  conforms('a page may be mapped twice', ({ a, b }) => {
    const shared = a.grants.share(b.domid, 1, 'read-write');
    const first = b.grants.map(a.domid, shared.refs);
    const second = b.grants.map(a.domid, shared.refs);
    first.page(0)[0] = 4;
    first.close();
    expect(second.page(0)[0]).toBe(4);
  });

  conforms('map of a reference that nobody granted is refused', ({ a, b }) => {
    expect(cannotMap).toContain(refusal(() => b.grants.map(a.domid, [NO_GRANT])));
  });

  conforms('map of a page of a domain that does not exist is refused', ({ b, other }) => {
    expect(cannotMap).toContain(refusal(() => b.grants.map(other, [grantRef(8)])));
  });

  conforms('map of a page that is granted to another domain is refused', ({ a, b, other }) => {
    const shared = a.grants.share(other, 1, 'read-write');
    expect(cannotMap).toContain(refusal(() => b.grants.map(a.domid, shared.refs)));
  });

  conforms('map of a page that is granted for reading only is refused', ({ a, b }) => {
    const shared = a.grants.share(b.domid, 1, 'read');
    expect(cannotMap).toContain(refusal(() => b.grants.map(a.domid, shared.refs)));
  });

  conforms('map with a bad reference in the middle keeps none of the others', (harness) => {
    const { a, b } = harness;
    const shared = a.grants.share(b.domid, 2, 'read-write');
    const [first, last] = shared.refs as [GrantRef, GrantRef];
    expect(cannotMap).toContain(refusal(() => b.grants.map(a.domid, [first, NO_GRANT, last])));
    // A mapping left behind would keep the grants alive after their revoke.
    shared.close();
    expect(canMap(harness, [first])).toBe(false);
    expect(canMap(harness, [last])).toBe(false);
  });

  conforms('map rejects an empty list of references', ({ a, b }) => {
    expectMistake(() => b.grants.map(a.domid, []));
  });
}

function ending(conforms: ConformanceTest): void {
  conforms('closed pages throw on use', ({ a, b }) => {
    const shared = a.grants.share(b.domid, 1, 'read-write');
    const mapped = b.grants.map(a.domid, shared.refs);
    for (const pages of [mapped, shared]) {
      pages.close();
      expect(pages.closed).toBe(true);
      expectMistake(() => pages.bytes);
      expectMistake(() => pages.page(0));
    }
  });

  conforms('close of pages is idempotent', ({ a, b }) => {
    const shared = a.grants.share(b.domid, 1, 'read-write');
    const mapped = b.grants.map(a.domid, shared.refs);
    for (const pages of [mapped, shared, mapped, shared]) pages.close();
  });

  conforms(
    'views taken before the close are detached where the binding has detach',
    ({ a, b }, ctx) => {
      ctx.skip(!a.supports.detach, 'the binding has no detach');
      const shared = a.grants.share(b.domid, 1, 'read-write');
      const mapped = b.grants.map(a.domid, shared.refs);
      for (const pages of [mapped, shared]) {
        const views = [pages.bytes, pages.page(0)];
        pages.close();
        expect(views.map((view) => view.length)).toEqual([0, 0]);
      }
    },
  );

  conforms('a page cannot be mapped after its grant was revoked', (harness) => {
    const { a, b } = harness;
    const shared = a.grants.share(b.domid, 2, 'read-write');
    b.grants.map(a.domid, shared.refs).close();
    shared.close();
    expect(canMap(harness, shared.refs)).toBe(false);
  });

  conforms('the mapper keeps the page when the granter revokes it', ({ a, b }) => {
    const shared = a.grants.share(b.domid, 1, 'read-write');
    const mapped = b.grants.map(a.domid, shared.refs);
    shared.page(0)[0] = 3;
    shared.close();
    expect(mapped.page(0)[0]).toBe(3);
    mapped.page(0)[1] = 4;
    expect(mapped.page(0)[1]).toBe(4);
  });

  conforms(
    'a page revoked while mapped is not used again before the mapper lets go',
    ({ a, b }) => {
      const shared = a.grants.share(b.domid, 4, 'read-write');
      const { refs } = shared;
      const mapped = b.grants.map(a.domid, refs);
      shared.close();
      const next = a.grants.share(b.domid, 4, 'read-write');
      mapped.bytes.fill(0xff);
      expect(next.refs.some((ref) => refs.includes(ref))).toBe(false);
      expect(next.bytes.every((byte) => byte === 0)).toBe(true);
    },
  );

  conforms('a grant revoked while mapped ends when the mapper lets go', async (harness) => {
    const { a, b } = harness;
    const shared = a.grants.share(b.domid, 1, 'read-write');
    const mapped = b.grants.map(a.domid, shared.refs);
    shared.close();
    mapped.close();
    await eventually(harness, () => !canMap(harness, shared.refs));
  });

  conforms('close of the hypervisor closes its pages', (harness) => {
    const { a, b } = harness;
    const shared = a.grants.share(b.domid, 1, 'read-write');
    const mapped = b.grants.map(a.domid, shared.refs);
    b.close();
    expect(mapped.closed).toBe(true);
    a.close();
    expect(shared.closed).toBe(true);
  });

  conforms('close of the hypervisor revokes its grants', (harness) => {
    const { a, b } = harness;
    const shared = a.grants.share(b.domid, 1, 'read-write');
    expect(canMap(harness, shared.refs)).toBe(true);
    a.close();
    expect(canMap(harness, shared.refs)).toBe(false);
  });

  conforms('a closed hypervisor rejects grants and maps', ({ a, b }) => {
    const shared = b.grants.share(a.domid, 1, 'read-write');
    a.close();
    a.close();
    expectMistake(() => a.grants.share(b.domid, 1, 'read-write'));
    expectMistake(() => a.grants.map(b.domid, shared.refs));
    expectMistake(() => a.grants.copyBatch(1));
  });
}

function notices(conforms: ConformanceTest): void {
  const ends = [
    ['its close', (_end: { close(): void }, pages: Pages) => pages.close()],
    ['the end of its hypervisor', (end: { close(): void }) => end.close()],
  ] as const;

  for (const [cause, end] of ends) {
    conforms(`the mapper sees the notice of a share at ${cause}`, async (harness) => {
      const { a, b } = harness;
      const { offered, bound } = await connect(harness);
      const notice = { byteOffset: PAGE_SIZE + 5, channel: offered };
      const shared = a.grants.share(b.domid, 2, 'read-write', notice);
      const mapped = b.grants.map(a.domid, shared.refs);
      const events = countEvents(bound);
      shared.bytes.fill(1);
      end(a, shared);
      await eventually(harness, () => events.count > 0);
      expect(mapped.bytes.indexOf(0)).toBe(PAGE_SIZE + 5);
      expect(mapped.bytes.lastIndexOf(0)).toBe(PAGE_SIZE + 5);
    });

    conforms(`the granter sees the notice of a map at ${cause}`, async (harness) => {
      const { a, b } = harness;
      const { offered, bound } = await connect(harness);
      const shared = a.grants.share(b.domid, 2, 'read-write');
      const mapped = b.grants.map(a.domid, shared.refs, { byteOffset: 0, channel: bound });
      const events = countEvents(offered);
      shared.bytes.fill(1);
      end(b, mapped);
      await eventually(harness, () => events.count > 0);
      expect(shared.bytes.indexOf(0)).toBe(0);
      expect(shared.bytes.lastIndexOf(0)).toBe(0);
    });
  }

  conforms('a notice by a channel that is closed is rejected', ({ a, b }) => {
    const channel = a.events.allocateUnbound(b.domid);
    channel.close();
    expectMistake(() => a.grants.share(b.domid, 1, 'read-write', { channel }));
  });

  conforms('a notice without a channel sets its byte only', async (harness) => {
    const { a, b } = harness;
    const { bound } = await connect(harness);
    const shared = a.grants.share(b.domid, 1, 'read-write', { byteOffset: 9 });
    const mapped = b.grants.map(a.domid, shared.refs);
    const events = countEvents(bound);
    shared.page(0).fill(1);
    shared.close();
    await harness.settle();
    expect(mapped.page(0)[9]).toBe(0);
    expect(events.count).toBe(0);
  });

  conforms(
    'a notice for a byte outside of the pages is rejected and nothing is kept',
    ({ a, b }) => {
      for (const byteOffset of [-1, PAGE_SIZE, 0.5]) {
        expectMistake(() => a.grants.share(b.domid, 1, 'read-write', { byteOffset }));
      }
      const shared = a.grants.share(b.domid, 1, 'read-write');
      expectMistake(() => b.grants.map(a.domid, shared.refs, { byteOffset: PAGE_SIZE }));
    },
  );
}
