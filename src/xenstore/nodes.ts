/** The operations on nodes, in a transaction or outside of one. */
import {
  XS_DIRECTORY,
  XS_DIRECTORY_PART,
  XS_GET_PERMS,
  XS_MKDIR,
  XS_READ,
  XS_RM,
  XS_SET_PERMS,
  XS_WRITE,
} from '../abi/io/xs_wire.ts';
import { latin1Decode } from '../base/bytes.ts';
import { errorCode, errorMessage, ProtocolViolation, XenError } from '../base/errors.ts';
import { decodeStrings, encodeStringAndValue, encodeStrings, operationName } from './packet.ts';
import { formatPermission, parsePermission } from './permissions.ts';
import type { Permission, XenstoreNodes } from './xenstore.ts';

/** How often a directory may change while it is listed in parts before we give up. */
const LIST_RESTARTS_MAX = 100;
/** Bytes of names that one directory may have. */
const LIST_MAX = 16 << 20;

/** Sends a request of `type` about `path` and resolves with the reply's payload. */
export type NodeRequest = (type: number, path: string, payload: Uint8Array) => Promise<Uint8Array>;

/**
 * The strings of a reply that holds nothing else. `subject` is what was asked about, for errors.
 * Throws `ProtocolViolation` when the last one is not terminated.
 */
export function replyStrings(type: number, subject: string, payload: Uint8Array): string[] {
  const { strings, end } = decodeStrings(payload);
  if (end !== payload.length) {
    throw new ProtocolViolation(
      `xenstore ${operationName(type)} ${subject}`,
      'xenstore: strings in a reply end with NUL',
      `${payload.length - end} bytes follow the last NUL`,
    );
  }
  return strings;
}

interface DirectoryPart {
  readonly generation: string;
  readonly names: string[];
  /** Bytes of the child list that the names take: how far to the next part. */
  readonly length: number;
  readonly last: boolean;
}

export class NodeOperations implements XenstoreNodes {
  private readonly request: NodeRequest;

  constructor(request: NodeRequest) {
    this.request = request;
  }

  async read(path: string): Promise<string> {
    return latin1Decode(await this.request(XS_READ, path, encodeStrings(path)));
  }

  async readIfPresent(path: string): Promise<string | undefined> {
    try {
      return await this.read(path);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async list(path: string): Promise<string[]> {
    let payload: Uint8Array;
    try {
      payload = await this.request(XS_DIRECTORY, path, encodeStrings(path));
    } catch (error) {
      if (errorCode(error) === 'E2BIG') return this.listInParts(path);
      throw error;
    }
    return replyStrings(XS_DIRECTORY, path, payload);
  }

  async write(path: string, value: string): Promise<void> {
    await this.request(XS_WRITE, path, encodeStringAndValue(path, value));
  }

  async mkdir(path: string): Promise<void> {
    await this.request(XS_MKDIR, path, encodeStrings(path));
  }

  async remove(path: string): Promise<void> {
    await this.request(XS_RM, path, encodeStrings(path));
  }

  async getPermissions(path: string): Promise<Permission[]> {
    const payload = await this.request(XS_GET_PERMS, path, encodeStrings(path));
    try {
      return replyStrings(XS_GET_PERMS, path, payload).map(parsePermission);
    } catch (error) {
      if (error instanceof ProtocolViolation) throw error;
      throw new ProtocolViolation(
        `xenstore GET_PERMS ${path}`,
        'xenstore: a permission entry is a letter and a domid',
        errorMessage(error),
      );
    }
  }

  async setPermissions(path: string, permissions: readonly Permission[]): Promise<void> {
    const payload = encodeStrings(path, ...permissions.map(formatPermission));
    await this.request(XS_SET_PERMS, path, payload);
  }

  /** Parts of one generation make a consistent list; when the generation changes, all starts anew. */
  private async listInParts(path: string): Promise<string[]> {
    for (let restarts = 0; restarts < LIST_RESTARTS_MAX; restarts++) {
      const names = await this.listOneGeneration(path);
      if (names !== undefined) return names;
    }
    throw new XenError(
      'EAGAIN',
      `xenstore DIRECTORY_PART ${path}`,
      `the directory changed ${LIST_RESTARTS_MAX} times while it was listed`,
    );
  }

  private async listOneGeneration(path: string): Promise<string[] | undefined> {
    const names: string[] = [];
    let generation: string | undefined;
    let offset = 0;
    while (offset <= LIST_MAX) {
      const part = await this.directoryPart(path, offset);
      if (generation !== undefined && part.generation !== generation) return undefined;
      generation = part.generation;
      for (const name of part.names) names.push(name);
      if (part.last) return names;
      offset += part.length;
    }
    throw new XenError(
      'ENOMEM',
      `xenstore DIRECTORY_PART ${path}`,
      `the names of a directory may take ${LIST_MAX} bytes`,
    );
  }

  /** The reply holds the generation, then names, then an empty name if no more follow. */
  private async directoryPart(path: string, offset: number): Promise<DirectoryPart> {
    const request = encodeStrings(path, String(offset));
    const payload = await this.request(XS_DIRECTORY_PART, path, request);
    const strings = replyStrings(XS_DIRECTORY_PART, path, payload);
    const generation = strings.shift();
    const last = strings[strings.length - 1] === '';
    if (last) strings.pop();
    if (generation === undefined || (strings.length === 0 && !last)) {
      throw new ProtocolViolation(
        `xenstore DIRECTORY_PART ${path}`,
        'xenstore: a part of a directory holds a generation and a name',
        `${payload.length} bytes`,
      );
    }
    const length = strings.reduce((sum, name) => sum + name.length + 1, 0);
    return { generation, names: strings, length, last };
  }
}
