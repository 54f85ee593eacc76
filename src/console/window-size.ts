/**
 * The size of a viewer's window, in the node `window-size` of a console: `80x24`, columns and rows.
 * The console daemon writes it when a viewer that may type says how large it is. Nothing of it is
 * in Xen's protocol: a guest that does not look at the node loses nothing.
 */
import { childPath } from '../xenstore/path.ts';
import type { Xenstore, XenstoreWatch } from '../xenstore/xenstore.ts';

export interface WindowSize {
  readonly columns: number;
  readonly rows: number;
}

export const WINDOW_SIZE_KEY = 'window-size';

export function windowSizeText({ columns, rows }: WindowSize): string {
  return `${columns}x${rows}`;
}

/** `undefined` for what is no size. */
export function parseWindowSize(text: string): WindowSize | undefined {
  const [, columns, rows] = /^([0-9]{1,5})x([0-9]{1,5})$/.exec(text) ?? [];
  return columns === undefined ? undefined : { columns: Number(columns), rows: Number(rows) };
}

/**
 * Calls `handler` with the size, now and whenever it changes.
 *
 * @param consolePath the console's directory: `console`, or `device/console/1`
 */
export function watchWindowSize(
  xenstore: Xenstore,
  consolePath: string,
  handler: (size: WindowSize) => void,
): Promise<XenstoreWatch> {
  const path = childPath(consolePath, WINDOW_SIZE_KEY);
  return xenstore.watch(path, async () => {
    // Without xenstore there is nobody to ask, and nothing that a caller of ours could do.
    const text = await xenstore.readIfPresent(path).catch(() => undefined);
    const size = text === undefined ? undefined : parseWindowSize(text);
    if (size !== undefined) handler(size);
  });
}
