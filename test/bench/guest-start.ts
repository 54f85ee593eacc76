/** What libxl of Xen 4.17 asks of xenstored when it starts a PV guest with a disk and a network card. */
import { XS_MKDIR, XS_RM, XS_SET_PERMS, XS_WRITE } from '../../src/abi/io/xs_wire.ts';
import { encodeStringAndValue, encodeStrings } from '../../src/xenstore/packet.ts';
import { inTransaction, request } from './player.ts';

type Keys = Readonly<Record<string, string | number>>;

const remove = (path: string) => request(XS_RM, encodeStrings(path));

function directory(path: string, ...permissions: readonly string[]): Uint8Array[] {
  return [
    request(XS_MKDIR, encodeStrings(path)),
    request(XS_SET_PERMS, encodeStrings(path, ...permissions)),
  ];
}

function write(path: string, keys: Keys): Uint8Array[] {
  return Object.entries(keys).map(([key, value]) =>
    request(XS_WRITE, encodeStringAndValue(`${path}/${key}`, `${value}`)),
  );
}

/** libxl__domain_make: the guest's directories. */
function makeDomain(domid: number, home: string, vm: string): Uint8Array[] {
  const readOnly = ['n0', `r${domid}`];
  const rooms = ['cpu', 'memory', 'device', 'control', 'hvmloader', 'error', 'drivers'];
  const ownRooms = ['control/shutdown', 'control/feature-poweroff', 'control/feature-reboot'];
  return inTransaction(
    remove(home),
    ...directory(home, ...readOnly),
    remove(vm),
    ...directory(vm, ...readOnly),
    remove(`/libxl/${domid}`),
    ...directory(`/libxl/${domid}`, 'n0'),
    ...write(home, { vm }),
    ...rooms.flatMap((room) => directory(`${home}/${room}`, ...readOnly)),
    ...[...ownRooms, 'data', 'device/suspend/event-channel', 'attr'].flatMap((room) =>
      directory(`${home}/${room}`, `n${domid}`),
    ),
    ...write(vm, { uuid: vm.slice(4), name: `guest-${domid}` }),
    ...write(home, { name: `guest-${domid}` }),
    ...write(`/libxl/${domid}`, { type: 'pv', 'dm-version': 'qemu_xen' }),
  );
}

/** libxl__build_post. */
function buildDomain(domid: number, home: string, vm: string): Uint8Array[] {
  return inTransaction(
    ...write(home, {
      'memory/static-max': 524288,
      'memory/target': 524288,
      'memory/videoram': 0,
      domid,
      'store/port': 1,
      'store/ring-ref': 1044476,
      'cpu/0/availability': 'online',
      'cpu/1/availability': 'online',
    }),
    ...write(vm, {
      'image/ostype': 'linux',
      'image/kernel': '/boot/vmlinuz',
      start_time: 1700000000,
    }),
  );
}

interface Device {
  readonly type: string;
  readonly id: number;
  readonly backendKeys: Keys;
  readonly frontendKeys: Keys;
}

/** libxl__device_generic_add. */
function addDevice(domid: number, home: string, device: Device): Uint8Array[] {
  const { type, id, backendKeys, frontendKeys } = device;
  const frontend = `${home}/device/${type}/${id}`;
  const backend = `/local/domain/0/backend/${type}/${domid}/${id}`;
  const libxl = `/libxl/${domid}/device/${type}/${id}`;
  const common = { 'frontend-id': domid, online: 1, state: 1, ...backendKeys };
  return inTransaction(
    ...directory(libxl, 'n0'),
    ...write(libxl, { frontend, backend }),
    remove(frontend),
    ...directory(frontend, `n${domid}`, 'r0'),
    ...write(frontend, { backend, 'backend-id': 0, state: 1, ...frontendKeys }),
    remove(backend),
    ...directory(backend, 'n0', `r${domid}`),
    ...write(backend, { frontend, ...common }),
    ...write(libxl, common),
  );
}

function devicesOf(domid: number): Device[] {
  const disk = { params: `/dev/vg/guest-${domid}`, type: 'phy', mode: 'w', 'device-type': 'disk' };
  const mac = `00:16:3e:00:00:${(domid % 256).toString(16).padStart(2, '0')}`;
  return [
    {
      type: 'vbd',
      id: 51712,
      backendKeys: { ...disk, removable: 0, bootable: 1, dev: 'xvda' },
      frontendKeys: { 'virtual-device': 51712, 'device-type': 'disk' },
    },
    {
      type: 'vif',
      id: 0,
      backendKeys: { script: '/etc/xen/scripts/vif-bridge', mac, bridge: 'xenbr0', handle: 0 },
      frontendKeys: { handle: 0, mac, mtu: 1500 },
    },
  ];
}

function pathsOf(domid: number): [home: string, vm: string] {
  const uuid = `00000000-0000-4000-8000-${domid.toString(16).padStart(12, '0')}`;
  return [`/local/domain/${domid}`, `/vm/${uuid}`];
}

export function startGuest(domid: number): Uint8Array[] {
  const [home, vm] = pathsOf(domid);
  return [
    ...makeDomain(domid, home, vm),
    ...buildDomain(domid, home, vm),
    ...devicesOf(domid).flatMap((device) => addDevice(domid, home, device)),
  ];
}

/** Leaves nothing of what `startGuest` made. */
export function removeGuest(domid: number): Uint8Array[] {
  const [home, vm] = pathsOf(domid);
  const backends = devicesOf(domid).map(({ type }) => `/local/domain/0/backend/${type}/${domid}`);
  return [home, vm, `/libxl/${domid}`, ...backends].map(remove);
}
