/** Refusals of Xen's in the contract's words. */
import * as errno from '../../abi/errno.ts';
import { type ErrorCode, XenError } from '../../base/errors.ts';

const codes: Readonly<Record<number, ErrorCode>> = {
  [errno.XEN_EPERM]: 'EPERM',
  [errno.XEN_ENOENT]: 'ENOENT',
  [errno.XEN_ESRCH]: 'ESRCH',
  [errno.XEN_E2BIG]: 'E2BIG',
  [errno.XEN_EBADF]: 'EBADF',
  [errno.XEN_EAGAIN]: 'EAGAIN',
  [errno.XEN_ENOMEM]: 'ENOMEM',
  [errno.XEN_EACCES]: 'EACCES',
  [errno.XEN_EFAULT]: 'EFAULT',
  [errno.XEN_EBUSY]: 'EBUSY',
  [errno.XEN_EEXIST]: 'EEXIST',
  [errno.XEN_ENODEV]: 'ENODEV',
  [errno.XEN_EINVAL]: 'EINVAL',
  [errno.XEN_ENOSPC]: 'ENOSPC',
  [errno.XEN_ENOSYS]: 'ENOSYS',
  [errno.XEN_EOPNOTSUPP]: 'ENOTSUP',
};

/**
 * The result of a call of the kernel's, unless it is a refusal: that becomes an `XenError` that names
 * `operation`; EIO for a number that the contract has no word for.
 * @param explain more words for a person, for codes that mean something particular here
 */
export function granted<Result>(
  operation: string,
  result: Result | number,
  explain: Readonly<Partial<Record<ErrorCode, string>>> = {},
): Result {
  if (typeof result !== 'number' || result >= 0) return result as Result;
  const code = codes[-result];
  if (code === undefined) throw new XenError('EIO', operation, `errno ${-result}`);
  throw new XenError(code, operation, explain[code]);
}
