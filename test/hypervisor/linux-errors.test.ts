/** What the Linux binding says where there is no Xen, and how it words the shim's errors. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { XenError } from '../../src/base/errors.ts';
import { DOM0 } from '../../src/base/ids.ts';
import { attempt, openDevice } from '../../src/hypervisor/linux/errors.ts';
import { openDomainControl, openLinuxHypervisor } from '../../src/hypervisor/linux/hypervisor.ts';
import { nativePath } from '../../src/hypervisor/linux/native.ts';

function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

/** As the native shim throws it. */
function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: words of the system`), { code });
}

const fail = (error: unknown) => () => {
  throw error;
};

describe.skipIf(existsSync('/dev/xen/evtchn'))('without Xen', () => {
  test('openLinuxHypervisor names the device and the module that makes it', () => {
    const error = thrownBy(() => openLinuxHypervisor({ domid: DOM0 }));
    expect(error).toMatchObject({ code: 'ENOENT', operation: 'open /dev/xen/evtchn' });
    expect(error).toHaveProperty('message', expect.stringContaining('modprobe xen-evtchn'));
  });

  test('openLinuxHypervisor says that the own domid cannot be found', () => {
    expect(thrownBy(() => openLinuxHypervisor())).toMatchObject({
      code: 'ENOENT',
      message: expect.stringContaining('not running on Xen'),
    });
  });

  test('openDomainControl names the device and the module that makes it', () => {
    expect(thrownBy(() => openDomainControl())).toMatchObject({
      code: 'ENOENT',
      message: expect.stringMatching(/\/dev\/xen\/privcmd.*modprobe xen-privcmd/),
    });
  });
});

describe('attempt', () => {
  test('a refusal of the system becomes a XenError with the operation and the cause', () => {
    const cause = systemError('EINVAL');
    const error = thrownBy(() => attempt('map grant 8', fail(cause)));
    expect(error).toBeInstanceOf(XenError);
    expect(error).toMatchObject({ code: 'EINVAL', operation: 'map grant 8', reason: cause });
  });

  test('a code that the contract has no word for becomes EIO and stays in the message', () => {
    expect(thrownBy(() => attempt('map grant 8', fail(systemError('ENOTTY'))))).toMatchObject({
      code: 'EIO',
      message: expect.stringContaining('ENOTTY'),
    });
  });

  test("a caller's mistake and an error of the contract stay what they are", () => {
    for (const error of [
      new TypeError('no number'),
      new RangeError('too large'),
      Object.assign(new TypeError('no number'), { code: 'ERR_INVALID_ARG_TYPE' }),
      new XenError('EEXIST', 'bind VIRQ 3'),
      new Error('a bug'),
    ]) {
      expect(thrownBy(() => attempt('map grant 8', fail(error)))).toBe(error);
    }
  });
});

test('a device that only root may open is refused with that advice', () => {
  const open = fail(systemError('EACCES'));
  expect(thrownBy(() => openDevice('/dev/xen/gntdev', 'xen-gntdev', open))).toMatchObject({
    code: 'EACCES',
    message: expect.stringContaining('only root'),
  });
});

test('a shim that is not built is an error that names scripts/setup', () => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'paravane-no-shim-'));
  expect(thrownBy(() => nativePath(join(elsewhere, 'paravane.js')))).toMatchObject({
    code: 'ENOENT',
    message: expect.stringContaining('run scripts/setup'),
  });
  rmSync(elsewhere, { recursive: true });
});
