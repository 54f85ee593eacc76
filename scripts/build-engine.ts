/** Compiles the kernel and the engine of stub domains, so that the first to build an image need not wait. */
import { buildEngine } from '../src/dom0/image/engine.ts';

await buildEngine();
