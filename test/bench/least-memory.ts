/** With how little memory a domain does its work. */

/**
 * The least of the ascending sizes with which `works` resolves with true; rejects when none is. Tries
 * as few as it can: what works in some memory also works in more.
 */
export async function leastMemory(
  what: string,
  sizes_mib: readonly number[],
  works: (memory_mib: number) => Promise<boolean>,
): Promise<number> {
  let [low, high] = [0, sizes_mib.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const memory_mib = sizes_mib[middle] as number;
    const enough = await works(memory_mib);
    process.stderr.write(`${what} in ${memory_mib} MiB: ${enough ? 'works' : 'does not work'}\n`);
    if (enough) high = middle;
    else low = middle + 1;
  }
  const least = sizes_mib[low];
  if (least === undefined) throw new Error(`${what} needs more than ${sizes_mib.at(-1)} MiB`);
  return least;
}
