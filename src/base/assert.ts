/** States what must hold here. A failure is a bug of ours, never a peer's misbehaviour. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

/** The end of an exhaustive `switch`: does not compile while a case is missing. */
export function unreachable(value: never): never {
  throw new Error(`assertion failed: unreachable case ${String(value)}`);
}
