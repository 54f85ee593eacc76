/** What a back end says of its disk once it is connected. It can say anything. */
import { VDISK_READONLY } from '../abi/io/blkif.ts';
import { ProtocolViolation } from '../base/errors.ts';
import { PAGE_SIZE } from '../hypervisor/contract.ts';
import type { DeviceKeys } from '../xenbus/device-end.ts';
import { needPeerNumber, readPeerFlag, readPeerNumber } from '../xenbus/key-number.ts';
import { type BlockDeviceInfo, SECTOR_SIZE } from './block-device.ts';

const SECTORS_MAX = Math.floor(Number.MAX_SAFE_INTEGER / SECTOR_SIZE);
const PHYSICAL_SECTOR_SIZE_MAX = 1 << 20;

/** Rejects with `ProtocolViolation` when a key is missing or its value cannot be. */
export async function readGeometry(keys: DeviceKeys): Promise<BlockDeviceInfo> {
  const sectors = await needPeerNumber(keys, 'sectors', SECTORS_MAX);
  const sectorSize = await needPeerNumber(keys, 'sector-size', PAGE_SIZE);
  const physical = await readPeerNumber(keys, 'physical-sector-size', PHYSICAL_SECTOR_SIZE_MAX);
  const info = await needPeerNumber(keys, 'info', 0xffff);
  const size = sectors * SECTOR_SIZE;
  if (sectorSize < SECTOR_SIZE || (sectorSize & (sectorSize - 1)) !== 0) {
    const rule = `sector-size is a power of two from ${SECTOR_SIZE} to ${PAGE_SIZE}`;
    violated(keys, rule, sectorSize);
  }
  if (size % sectorSize !== 0) {
    violated(keys, `sectors, in units of ${SECTOR_SIZE}, are whole ones of sector-size`, sectors);
  }
  return {
    size,
    sectorSize,
    physicalSectorSize: physical ?? sectorSize,
    readOnly: (info & VDISK_READONLY) !== 0,
    discard: await readPeerFlag(keys, 'feature-discard'),
  };
}

function violated(keys: DeviceKeys, rule: string, found: number): never {
  throw new ProtocolViolation(
    `read the geometry of domain ${keys.peer}'s disk`,
    `blkif: ${rule}`,
    `it is ${found}`,
  );
}
