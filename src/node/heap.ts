/** How the engine treats the memory of a process that runs for weeks in a small dom0. */
import { setFlagsFromString } from 'node:v8';

/** What may become garbage before it is collected, in percent of what is in use. */
const GARBAGE_PERCENT = 60;

/**
 * Lets garbage be collected before there is much of it, for the whole process: V8 on its own lets
 * a heap grow to several times of what is in use. Not by `--optimize-for-size`, with which it also
 * forgets all that it has compiled, again and again. To be called before the heap has grown.
 */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${GARBAGE_PERCENT}`);
}
