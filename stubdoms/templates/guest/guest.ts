/**
 * A guest that works on its disk: it reads all of it and says what the sum of its bytes is. It is given
 * all that it works with, so that a test can give it a simulated host's.
 */
import { BlockFront, type StubDomain } from 'paravane';

/** The virtual device that `vdev=xvda` in xl's configuration names. */
const XVDA = 51712;
const CHUNK_BYTES = 64 * 1024;

/** Resolves when the disk was read; `xl shutdown` then ends the domain. */
export async function startGuest(domain: StubDomain): Promise<{ close(): Promise<void> }> {
  const disk = await BlockFront.connect({ ...domain, devid: XVDA });
  const { size } = disk.info;
  let sum = 0;
  for (let at = 0; at < size; at += CHUNK_BYTES) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, size - at));
    await disk.read(at, [chunk]);
    sum = chunk.reduce((total, byte) => (total + byte) >>> 0, sum);
  }
  domain.log.info('xvda was read', { size, sum });
  return disk;
}
