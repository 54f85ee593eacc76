/** How the engine treats the memory of a process that runs for weeks in a small dom0. */
import { setFlagsFromString } from 'node:v8';

/**
 * Lets the garbage of requests be collected sooner and in less memory, for the whole process. What
 * V8 does by default takes twice the memory of what is kept, and no request is answered sooner.
 * To be called before the heap has grown.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--optimize-for-size');
}
