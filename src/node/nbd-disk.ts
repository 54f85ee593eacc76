/**
 * A disk that another program serves over NBD, such as qemu-nbd: qcow2 files with their snapshots,
 * and disks across a network. A client of our own and not Linux's nbd device: it needs no module and
 * no privilege, so it works in every driver domain, and nothing of it outlives this process.
 */
import { connect, type Socket } from 'node:net';
import { type ErrorCode, ProtocolViolation, XenError } from '../base/errors.ts';
import { type BlockDevice, type BlockDeviceInfo, SECTOR_SIZE } from '../block/block-device.ts';
import { byteLength } from '../block/disk-layer.ts';
import { type NbdExport, negotiate } from './nbd-negotiation.ts';
import {
  NBD_CMD_DISC,
  NBD_CMD_FLUSH,
  NBD_CMD_READ,
  NBD_CMD_TRIM,
  NBD_CMD_WRITE,
  NBD_FLAG_READ_ONLY,
  NBD_FLAG_SEND_FLUSH,
  NBD_FLAG_SEND_TRIM,
  NBD_SIMPLE_REPLY_MAGIC,
  needMagic,
  parseNbdUri,
  requestHeader,
  SIMPLE_REPLY_BYTES,
} from './nbd-wire.ts';
import { SocketReader } from './socket-reader.ts';

/** Errors as the protocol numbers them. */
const CODES: ReadonlyMap<number, ErrorCode> = new Map([
  [1, 'EPERM'],
  [12, 'ENOMEM'],
  [22, 'EINVAL'],
  [28, 'ENOSPC'],
  [95, 'ENOTSUP'],
]);

interface Request {
  /** What a reply's data goes into. */
  readonly targets: readonly Uint8Array[];
  readonly operation: string;
  readonly resolve: () => void;
  readonly reject: (error: XenError) => void;
}

export interface NbdDiskOptions {
  /** `nbd://host[:port]/export` or `nbd+unix:///export?socket=PATH`. */
  readonly uri: string;
  readonly readOnly: boolean;
}

export class NbdDisk implements BlockDevice {
  readonly info: BlockDeviceInfo;
  private readonly uri: string;
  private readonly socket: Socket;
  private readonly hasFlush: boolean;
  private readonly requests = new Map<number, Request>();
  private nextHandle = 0;
  private lost: XenError | undefined;
  private idle: (() => void) | undefined;
  private closed: Promise<void> | undefined;

  private constructor(uri: string, socket: Socket, found: NbdExport, readOnly: boolean) {
    this.uri = uri;
    this.socket = socket;
    this.hasFlush = (found.flags & NBD_FLAG_SEND_FLUSH) !== 0;
    const discard = !readOnly && (found.flags & NBD_FLAG_SEND_TRIM) !== 0;
    const sectorSize = Math.max(SECTOR_SIZE, found.blockSize);
    const size = found.size - (found.size % sectorSize);
    const physicalSectorSize = Math.max(sectorSize, found.preferredBlockSize);
    this.info = { size, sectorSize, physicalSectorSize, readOnly, discard };
  }

  /**
   * Connects to the export. Rejects with `XenError`: EINVAL for a URI that is none or an export that
   * is no disk, ENOENT for an export or a server that is not there, EROFS.
   */
  static async open({ uri, readOnly }: NbdDiskOptions): Promise<NbdDisk> {
    const operation = `open disk ${uri}`;
    const { socketPath, host, port, exportName } = parseNbdUri(uri);
    const socket = socketPath === undefined ? connect(port ?? 0, host) : connect(socketPath);
    socket.setNoDelay(true);
    const reader = new SocketReader(socket);
    try {
      const found = await negotiate(socket, reader, exportName);
      if ((found.flags & NBD_FLAG_READ_ONLY) !== 0 && !readOnly) {
        throw new XenError('EROFS', operation, 'the server has it read-only');
      }
      if (found.size < Math.max(SECTOR_SIZE, found.blockSize) || found.blockSize > 4096) {
        const seen = `${found.size} bytes in blocks of ${found.blockSize}`;
        throw new XenError(
          'EINVAL',
          operation,
          `a disk has sectors of 512 or 4096 bytes, not ${seen}`,
        );
      }
      const disk = new NbdDisk(uri, socket, found, readOnly);
      void disk.readReplies(reader);
      return disk;
    } catch (error) {
      socket.destroy();
      if (error instanceof ProtocolViolation || !(error instanceof XenError)) throw error;
      throw new XenError(error.code, operation, error.message, error);
    }
  }

  read(position: number, targets: readonly Uint8Array[]): Promise<void> {
    return this.ask(NBD_CMD_READ, position, byteLength(targets), { targets });
  }

  write(position: number, sources: readonly Uint8Array[]): Promise<void> {
    return this.ask(NBD_CMD_WRITE, position, byteLength(sources), { sources });
  }

  async flush(): Promise<void> {
    // A server without the flag has nothing that is not on its storage.
    if (this.hasFlush) await this.ask(NBD_CMD_FLUSH, 0, 0, {});
  }

  discard(position: number, length: number): Promise<void> {
    return this.ask(NBD_CMD_TRIM, position, length, {});
  }

  /** An export keeps the size that it had when it was opened. */
  async refresh(): Promise<void> {}

  onResize(): void {}

  close(): Promise<void> {
    this.closed ??= this.disconnect();
    return this.closed;
  }

  private async disconnect(): Promise<void> {
    if (this.requests.size > 0) {
      await new Promise<void>((resolve) => {
        this.idle = resolve;
      });
    }
    const ended = new Promise((resolve) => this.socket.once('close', resolve));
    if (this.socket.destroyed) return;
    this.socket.end(requestHeader(NBD_CMD_DISC, 0, 0, 0));
    await ended;
  }

  private ask(
    command: number,
    position: number,
    length: number,
    data: { targets?: readonly Uint8Array[]; sources?: readonly Uint8Array[] },
  ): Promise<void> {
    if (this.lost !== undefined) return Promise.reject(this.lost);
    return new Promise((resolve, reject) => {
      const handle = this.nextHandle++;
      const operation = `command ${command} to disk ${this.uri}`;
      this.requests.set(handle, { targets: data.targets ?? [], operation, resolve, reject });
      this.socket.cork();
      this.socket.write(requestHeader(command, handle, position, length));
      // The bytes are the caller's until the reply comes, and that is after they were sent.
      for (const source of data.sources ?? []) this.socket.write(source);
      this.socket.uncork();
    });
  }

  /** Ends with the connection. */
  private async readReplies(reader: SocketReader): Promise<void> {
    const header = Buffer.alloc(SIMPLE_REPLY_BYTES);
    try {
      for (;;) {
        await reader.fill(header);
        await this.takeReply(header, reader);
      }
    } catch (error) {
      this.socket.destroy();
      const detail = 'the connection to its server has ended';
      this.lost = new XenError('EIO', `use disk ${this.uri}`, detail, error);
      for (const request of this.requests.values()) request.reject(this.lost);
      this.requests.clear();
      this.idle?.();
    }
  }

  private async takeReply(header: Buffer, reader: SocketReader): Promise<void> {
    needMagic(header.readUInt32BE(0), NBD_SIMPLE_REPLY_MAGIC, 'a reply');
    const error = header.readUInt32BE(4);
    const handle = Number(header.readBigUInt64BE(8));
    const request = this.requests.get(handle);
    if (request === undefined) {
      const rule = 'nbd: a reply has the handle of a request under way';
      throw new ProtocolViolation('talk to an NBD server', rule, `handle ${handle}`);
    }
    if (error === 0) for (const target of request.targets) await reader.fill(target);
    this.requests.delete(handle);
    if (error === 0) request.resolve();
    else {
      const code = CODES.get(error) ?? 'EIO';
      request.reject(new XenError(code, request.operation, `the server answered error ${error}`));
    }
    if (this.requests.size === 0) this.idle?.();
  }
}
