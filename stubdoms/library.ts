/**
 * What a program in a domain of its own is written with: the module `paravane` of the directories that
 * `paravane new` makes. Only `runStubDomain` chooses a world, that of the stub-domain kernel.
 */

export type { ByteStream } from '../src/base/byte-stream.ts';
export { latin1Decode, latin1Encode } from '../src/base/bytes.ts';
export { type Clock, sleep } from '../src/base/clock.ts';
export { errorMessage, XenError } from '../src/base/errors.ts';
export { DOM0, type DomId, domId } from '../src/base/ids.ts';
export type { Log } from '../src/base/log.ts';
export type { BlockDevice } from '../src/block/block-device.ts';
export { BlockFront } from '../src/block/front.ts';
export type { Hypervisor } from '../src/hypervisor/contract.ts';
export { NetFront } from '../src/net/front.ts';
export type { NetworkInterface } from '../src/net/network-interface.ts';
export { connectVchan } from '../src/vchan/client.ts';
export { vchanPath } from '../src/vchan/keys.ts';
export { VchanServer } from '../src/vchan/server.ts';
export type { Xenstore } from '../src/xenstore/xenstore.ts';
export { runStubDomain, type StubDomain, type StubService } from './stub-domain.ts';
