/** What a program of this machine needs beside itself to run elsewhere. */
import { runToolNow } from './compiler.ts';

/** Paths of the dynamic loader and of the libraries that a program needs, as the loader knows them. */
export function sharedLibraries(program: string): string[] {
  const lines = runToolNow('ldd', [program]);
  return [...lines.matchAll(/(\/\S+) \(0x/g)].map(([, library]) => library as string);
}
