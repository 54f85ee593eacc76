import { createRequire as paravaneRequire } from 'node:module'; const require = paravaneRequire(import.meta.url);

// src/base/errors.ts
var XenError = class extends Error {
  code;
  operation;
  reason;
  /**
   * @param code errno name, such as `ENOENT`
   * @param operation what was tried, in the field's words: `map grant 8 of domain 3`
   * @param detail why it failed, for a person; may be empty
   * @param reason the error underneath, if there was one
   */
  constructor(code, operation, detail = "", reason) {
    super(detail === "" ? `${operation}: ${code}` : `${operation}: ${detail} (${code})`);
    this.name = "XenError";
    this.code = code;
    this.operation = operation;
    this.reason = reason;
  }
};
var ProtocolViolation = class extends XenError {
  rule;
  constructor(operation, rule, detail) {
    super("EPROTO", operation, `broke the rule "${rule}": ${detail}`);
    this.name = "ProtocolViolation";
    this.rule = rule;
  }
};
function errorCode(error) {
  if (typeof error !== "object" || error === null || !("code" in error)) return void 0;
  return typeof error.code === "string" ? error.code : void 0;
}
function errorMessage(error) {
  return error instanceof Error ? error.message : String(error);
}

export {
  XenError,
  ProtocolViolation,
  errorCode,
  errorMessage
};
//# sourceMappingURL=chunk-4IU4G7QT.js.map
