/**
 * The two kinds of error that travel through Paravane. A mistake of the caller's own is neither:
 * it throws a plain `TypeError` or `RangeError` at once.
 */

/** What the operation was refused with: an errno name, the only vocabulary Xen, Linux and xenstore share. */
export type ErrorCode =
  | 'E2BIG'
  | 'EACCES'
  | 'EAGAIN'
  | 'EBADF'
  | 'EBUSY'
  | 'ECONNRESET'
  | 'EEXIST'
  | 'EFAULT'
  | 'EFBIG'
  | 'EINVAL'
  | 'EIO'
  | 'EISCONN'
  | 'EISDIR'
  | 'ENODEV'
  | 'ENOENT'
  | 'ENOMEM'
  | 'ENOSPC'
  | 'ENOSYS'
  | 'ENOTCONN'
  | 'ENOTEMPTY'
  | 'ENOTSUP'
  | 'EPERM'
  | 'EPROTO'
  | 'EROFS'
  | 'ESRCH'
  | 'ETIMEDOUT';

/** An operation failed: `code` is stable and machine-readable, `operation` says what was tried. */
export class XenError extends Error {
  readonly code: ErrorCode;
  readonly operation: string;
  readonly reason: unknown;

  /**
   * @param code errno name, such as `ENOENT`
   * @param operation what was tried, in the field's words: `map grant 8 of domain 3`
   * @param detail why it failed, for a person; may be empty
   * @param reason the error underneath, if there was one
   */
  constructor(code: ErrorCode, operation: string, detail = '', reason?: unknown) {
    super(detail === '' ? `${operation}: ${code}` : `${operation}: ${detail} (${code})`);
    this.name = 'XenError';
    this.code = code;
    this.operation = operation;
    this.reason = reason;
  }
}

/**
 * A peer broke a rule of the protocol. Only that peer's connection or device ends.
 * `rule` names the rule in a form that can be searched for: `ring: req_prod - req_cons <= size`.
 */
export class ProtocolViolation extends XenError {
  readonly rule: string;

  constructor(operation: string, rule: string, detail: string) {
    super('EPROTO', operation, `broke the rule "${rule}": ${detail}`);
    this.name = 'ProtocolViolation';
    this.rule = rule;
  }
}

/** The errno name of anything thrown, or `undefined` for an error that carries none. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** One line for a log, whatever was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
