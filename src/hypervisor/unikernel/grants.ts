/** Pages shared, mapped and copied by the stub-domain kernel. */
import { type DomId, domId, type GrantRef, grantRef } from '../../base/ids.ts';
import type { CopyBatch, EndNotice, GrantTable, Pages, SharedPages } from '../contract.ts';
import { GrantCopyBatch } from '../grant-copy.ts';
import { MappedPages, MappedSharedPages } from '../mapped-pages.ts';
import { granted } from './errors.ts';
import type { XenObject } from './xen-object.ts';

function noticePort(notice: EndNotice | undefined): number | undefined {
  if (notice?.channel?.closed) throw new TypeError("the notice's event channel is closed");
  return notice?.channel?.port;
}

export class UnikernelGrantTable implements GrantTable {
  private readonly xen: XenObject;
  private readonly open = new Set<Pages>();
  private closed = false;

  constructor(xen: XenObject) {
    this.xen = xen;
  }

  share(
    peer: DomId,
    count: number,
    access: 'read' | 'read-write',
    notice?: EndNotice,
  ): SharedPages {
    this.requireOpen();
    const { buffer, refs } = granted(
      `share ${count} pages with domain ${peer}`,
      this.xen.share(
        domId(peer),
        count,
        access === 'read-write',
        notice?.byteOffset,
        noticePort(notice),
      ),
      { ENOSPC: 'the grant table is full; its size is max_grant_frames of the domain' },
    );
    return this.keep(new MappedSharedPages(buffer, refs.map(grantRef), this.unmap, this.forget));
  }

  map(peer: DomId, refs: readonly GrantRef[], notice?: EndNotice): Pages {
    this.requireOpen();
    const buffer = granted(
      `map grants ${refs.join(', ')} of domain ${peer}`,
      this.xen.map(
        domId(peer),
        Uint32Array.from(refs, grantRef),
        notice?.byteOffset,
        noticePort(notice),
      ),
    );
    return this.keep(new MappedPages(buffer, this.unmap, this.forget));
  }

  copyBatch(capacity: number): CopyBatch {
    this.requireOpen();
    return new GrantCopyBatch(capacity, (operations, locals, statuses, count) => {
      granted(
        `copy ${count} times between grants and memory`,
        this.xen.copy(operations, locals, statuses, count),
      );
    });
  }

  copyMemory(bytes: number): Uint8Array {
    return new Uint8Array(bytes);
  }

  close(): void {
    this.closed = true;
    for (const pages of [...this.open]) pages.close();
  }

  private readonly unmap = (buffer: ArrayBuffer) => this.xen.unmap(buffer);

  private readonly forget = (pages: Pages) => {
    this.open.delete(pages);
  };

  private requireOpen(): void {
    if (this.closed) throw new TypeError('the hypervisor is closed');
  }

  private keep<P extends Pages>(pages: P): P {
    this.open.add(pages);
    return pages;
  }
}
