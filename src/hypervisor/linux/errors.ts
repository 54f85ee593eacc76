/** Errors of the native shim in the contract's words. */
import { type ErrorCode, errorCode, errorMessage, XenError } from '../../base/errors.ts';

// A record, so that the compiler asks for each code.
const codes: Readonly<Record<ErrorCode, true>> = {
  E2BIG: true,
  EACCES: true,
  EAGAIN: true,
  EBADF: true,
  EBUSY: true,
  ECONNRESET: true,
  EEXIST: true,
  EFAULT: true,
  EFBIG: true,
  EINVAL: true,
  EIO: true,
  EISCONN: true,
  EISDIR: true,
  ENODEV: true,
  ENOENT: true,
  ENOMEM: true,
  ENOSPC: true,
  ENOSYS: true,
  ENOTCONN: true,
  ENOTEMPTY: true,
  ENOTSUP: true,
  EPERM: true,
  EPROTO: true,
  EROFS: true,
  ESRCH: true,
  ETIMEDOUT: true,
};

/** The error code of a failed system call; EIO for one that the contract has no word for. */
function codeOf(error: unknown): ErrorCode | undefined {
  const code = errorCode(error);
  if (code === undefined) return undefined;
  return code in codes ? (code as ErrorCode) : 'EIO';
}

/**
 * Runs a call of the shim. What the operating system refuses becomes an `XenError` that names
 * `operation`; a mistake in the arguments stays what it is.
 * @param explain more words for a person, for codes that mean something particular here
 */
export function attempt<T>(
  operation: string,
  call: () => T,
  explain: Readonly<Partial<Record<ErrorCode, string>>> = {},
): T {
  try {
    return call();
  } catch (error) {
    const code = error instanceof XenError ? undefined : codeOf(error);
    if (code === undefined || error instanceof TypeError || error instanceof RangeError) {
      throw error;
    }
    throw new XenError(code, operation, explain[code] ?? errorMessage(error), error);
  }
}

/**
 * Opens a device node, with advice when that fails.
 * @param module the Linux module that makes the node
 */
export function openDevice<T>(path: string, module: string, open: () => T): T {
  const noDevice = `not running on Xen, or the Linux module is not loaded: modprobe ${module}`;
  const noRight = 'only root may open it';
  return attempt(`open ${path}`, open, {
    ENOENT: noDevice,
    ENODEV: noDevice,
    EACCES: noRight,
    EPERM: noRight,
  });
}
