/** Which domain we are. */
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { XENFEAT_dom0 } from '../../abi/features.ts';
import { XS_READ, XsdSockmsg } from '../../abi/io/xs_wire.ts';
import { latin1Decode, latin1Encode } from '../../base/bytes.ts';
import { errorCode, XenError } from '../../base/errors.ts';
import { DOM0, type DomId, domId } from '../../base/ids.ts';
import { openDevice } from './errors.ts';

const featuresFile = '/sys/hypervisor/properties/features';
const xenbusDevice = '/dev/xen/xenbus';

/** How long xenstored may take to answer. */
const ANSWER_MS_MAX = 5000;
const RETRY_MS = 5;

/**
 * Our own domid. The control domain is told by Xen that it is; it cannot ask xenstore, since it is
 * where xenstored may have yet to start. Any other domain finds `domid` in its home in xenstore.
 */
export function ownDomid(): DomId {
  return isControlDomain() ? DOM0 : domidFromXenstore();
}

/** Reads the bit map that Xen gave to this kernel, a hexadecimal number without prefix. */
function isControlDomain(): boolean {
  const text = openDevice(featuresFile, 'xenfs', () => readFileSync(featuresFile, 'latin1'));
  return ((BigInt(`0x${text.trim()}`) >> BigInt(XENFEAT_dom0)) & 1n) === 1n;
}

function domidFromXenstore(): DomId {
  const fd = openDevice(xenbusDevice, 'xenfs', () =>
    openSync(xenbusDevice, constants.O_RDWR | constants.O_NONBLOCK),
  );
  try {
    writeSync(fd, requestToRead('domid'));
    const header = XsdSockmsg.view(readFully(fd, XsdSockmsg.size));
    const payload = latin1Decode(readFully(fd, header.len));
    if (header.type !== XS_READ || !/^\d+$/.test(payload)) {
      throw new XenError('EIO', 'find our own domid', `xenstore answers "${payload}"`);
    }
    return domId(Number(payload));
  } finally {
    closeSync(fd);
  }
}

function requestToRead(path: string): Uint8Array {
  const payload = latin1Encode(`${path}\0`);
  const request = new Uint8Array(XsdSockmsg.size + payload.length);
  const header = XsdSockmsg.view(request);
  header.type = XS_READ;
  header.len = payload.length;
  request.set(payload, XsdSockmsg.size);
  return request;
}

/** Waits in place: it is done once, before the process does anything else. */
function readFully(fd: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  const deadline_ms = Date.now() + ANSWER_MS_MAX;
  for (let at = 0; at < length; ) {
    try {
      at += readSync(fd, bytes, at, length - at, null);
    } catch (error) {
      if (errorCode(error) !== 'EAGAIN') throw error;
      if (Date.now() > deadline_ms) {
        throw new XenError('ETIMEDOUT', 'find our own domid', 'xenstore does not answer');
      }
      Atomics.wait(sleeper, 0, 0, RETRY_MS);
    }
  }
  return bytes;
}
