/** A guest with a disk: for each line typed at its console it says which turn it is, and the disk's first bytes. */
import { onConsoleInput } from '../../src/hypervisor/unikernel/console.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { BlockFront, latin1Decode, runStubDomain } from '../../stubdoms/library.ts';

const XVDA = 51712;
const SECTOR_BYTES = 512;
const WORD_BYTES = 8;

runStubDomain(async (domain) => {
  const disk = await BlockFront.connect({ ...domain, devid: XVDA });
  let turn = 0;
  const say = async () => {
    const sector = new Uint8Array(SECTOR_BYTES);
    await disk.read(0, [sector]);
    turn += 1;
    const { domid } = domain.hypervisor;
    domain.log.info('turn', { turn, domid, word: latin1Decode(sector.subarray(0, WORD_BYTES)) });
  };
  onConsoleInput(eventLoop(), () => void say());
  return disk;
});
