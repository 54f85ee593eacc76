/** Granting through /dev/xen/gntalloc, mapping and copying grants through /dev/xen/gntdev. */
import { type DomId, domId, type GrantRef, grantRef } from '../../base/ids.ts';
import {
  type CopyBatch,
  type EndNotice,
  type GrantTable,
  PAGE_SIZE,
  type Pages,
  type SharedPages,
} from '../contract.ts';
import { GrantCopyBatch } from '../grant-copy.ts';
import { MappedSharedPages } from '../mapped-pages.ts';
import { attempt, openDevice } from './errors.ts';
import { loadNative, type NativeGntalloc, type NativeGntdev } from './native.ts';
import { LinuxPages, unmap } from './pages.ts';

const noGrantLeft =
  'no page or grant left; the limit of pages is /sys/module/xen_gntalloc/parameters/limit';

function noticePort(notice: EndNotice | undefined): number | undefined {
  if (notice?.channel?.closed) throw new TypeError("the notice's event channel is closed");
  return notice?.channel?.port;
}

export class LinuxGrantTable implements GrantTable {
  private gntdev: NativeGntdev | undefined;
  private gntalloc: NativeGntalloc | undefined;
  private readonly open = new Set<Pages>();
  private closed = false;

  share(
    peer: DomId,
    count: number,
    access: 'read' | 'read-write',
    notice?: EndNotice,
  ): SharedPages {
    const device = this.gntallocDevice();
    const { buffer, refs } = attempt(
      `share ${count} pages with domain ${peer}`,
      () =>
        device.share(
          domId(peer),
          count,
          access === 'read-write',
          notice?.byteOffset,
          noticePort(notice),
        ),
      { ENOSPC: noGrantLeft },
    );
    return this.keep(
      new MappedSharedPages(buffer, Array.from(refs, grantRef), unmap, (pages) =>
        this.open.delete(pages),
      ),
    );
  }

  map(peer: DomId, refs: readonly GrantRef[], notice?: EndNotice): Pages {
    const device = this.gntdevDevice();
    const buffer = attempt(`map grants ${refs.join(', ')} of domain ${peer}`, () =>
      device.map(
        domId(peer),
        Uint32Array.from(refs, grantRef),
        notice?.byteOffset,
        noticePort(notice),
      ),
    );
    return this.keep(new LinuxPages(buffer, (pages) => this.open.delete(pages)));
  }

  copyBatch(capacity: number): CopyBatch {
    const device = this.gntdevDevice();
    return new GrantCopyBatch(capacity, (operations, locals, statuses, count) =>
      attempt(`copy ${count} times between grants and memory`, () =>
        device.copy(operations, locals, statuses, count),
      ),
    );
  }

  copyMemory(bytes: number): Uint8Array {
    return new Uint8Array(loadNative().allocatePages(Math.ceil(bytes / PAGE_SIZE)), 0, bytes);
  }

  close(): void {
    this.closed = true;
    for (const pages of [...this.open]) pages.close();
    this.gntdev?.close();
    this.gntalloc?.close();
  }

  // Each device is opened when it is first needed: a back end does well without gntalloc.
  private gntdevDevice(): NativeGntdev {
    this.requireOpen();
    this.gntdev ??= openDevice('/dev/xen/gntdev', 'xen-gntdev', () => new (loadNative().Gntdev)());
    return this.gntdev;
  }

  private gntallocDevice(): NativeGntalloc {
    this.requireOpen();
    this.gntalloc ??= openDevice(
      '/dev/xen/gntalloc',
      'xen-gntalloc',
      () => new (loadNative().Gntalloc)(),
    );
    return this.gntalloc;
  }

  private requireOpen(): void {
    if (this.closed) throw new TypeError('the hypervisor is closed');
  }

  private keep<P extends Pages>(pages: P): P {
    this.open.add(pages);
    return pages;
  }
}
