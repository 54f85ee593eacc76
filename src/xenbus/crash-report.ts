/** What a stub domain leaves in xenstore when it crashes, for whoever looks why. */
import { errorMessage } from '../base/errors.ts';

/** Where the stack of the error stands with which a domain has crashed, below its home. */
export const CRASH_KEY = 'data/crash';

/** A node takes so many bytes and no more. */
const CRASH_TEXT_MAX = 2000;

/** An error in the words of a node's value: its message, and the stack. */
export function crashText(error: unknown): string {
  const stack = error instanceof Error ? error.stack : undefined;
  const text = `${errorMessage(error)}\n${stack ?? ''}`.trim();
  return text.slice(0, CRASH_TEXT_MAX).replace(/[^\n -~]/g, '?');
}
