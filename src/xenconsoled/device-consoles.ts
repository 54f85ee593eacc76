/**
 * Further consoles, `device/console/N`: devices with the handshake of split drivers, whose front
 * end grants the ring. Only those of type `xenconsoled` are ours; an emulator serves the others.
 */
import { XenError } from '../base/errors.ts';
import { EVENT_PORT_MAX, eventPort, grantRef } from '../base/ids.ts';
import { BackBus, type FoundDevice } from '../xenbus/back-bus.ts';
import type { BackConnection, BackDriver } from '../xenbus/back-device.ts';
import type { DeviceKeys } from '../xenbus/device-end.ts';
import { needPeerNumber, readPeerNumber } from '../xenbus/key-number.ts';
import { childPath } from '../xenstore/path.ts';
import { connectGrantedRing } from './connected-ring.ts';
import { OUTPUT_LIMIT_DEFAULT, OWN_TYPE, outputLimit } from './console-keys.ts';
import { type ConsoleServices, ServedConsole } from './served-console.ts';
import type { TerminalPlan } from './terminal.ts';

/** Where the daemon keeps the consoles that it serves now. */
export interface ConsoleRegister {
  add(console: ServedConsole): void;
  remove(console: ServedConsole): void;
  /** The daemon ends, and the next one will take the consoles up. */
  readonly ending: boolean;
}

/** QEMU's options after the path of a socket, such as `,server,nowait`. */
const SOCKET_OUTPUT = /^unix:([^,]+)/;

/**
 * What the console is connected to, by the keys that the toolstack wrote for the back end:
 * `connection` and `path`, or `output`. The front end's copies of them are the guest's to change.
 */
async function terminalPlan(keys: DeviceKeys): Promise<TerminalPlan> {
  const [connection, path, output] = await Promise.all(
    ['connection', 'path', 'output'].map((key) => keys.read(key)),
  );
  if (connection === 'socket') {
    if (path !== undefined && path !== '') return { path };
    throw new XenError('EINVAL', 'read path', 'a console connected to a socket has one');
  }
  if (connection !== undefined && connection !== 'pty') {
    throw new XenError('EINVAL', 'read connection', 'must be pty or socket');
  }
  if (connection === 'pty' || output === undefined || output === 'pty') return 'pty';
  const socket = SOCKET_OUTPUT.exec(output)?.[1];
  if (socket !== undefined) return { path: socket };
  throw new XenError('EINVAL', 'read output', 'must be pty or unix:PATH');
}

/** The back end of one further console. */
class DeviceConsole implements BackDriver {
  private readonly device: FoundDevice;
  private readonly services: ConsoleServices;
  private readonly register: ConsoleRegister;

  constructor(device: FoundDevice, services: ConsoleServices, register: ConsoleRegister) {
    this.device = device;
    this.services = services;
    this.register = register;
  }

  async announce(): Promise<void> {
    // There is nothing to choose from.
  }

  async connect(keys: DeviceKeys): Promise<BackConnection> {
    const { peer, devid, frontend } = this.device;
    const ref = grantRef(await needPeerNumber(keys, 'ring-ref', 0xffffffff));
    const port = eventPort(await needPeerNumber(keys, 'port', EVENT_PORT_MAX));
    const limit = await readPeerNumber(keys, 'limit', Number.MAX_SAFE_INTEGER);
    const place = {
      domid: peer,
      index: Number(devid),
      path: frontend,
      terminal: await terminalPlan(keys),
      limit: outputLimit(limit ?? OUTPUT_LIMIT_DEFAULT),
    };
    const console = new ServedConsole(place, this.services, (error) => keys.fail(error));
    const ring = connectGrantedRing(this.services, peer, ref, port);
    this.register.add(console);
    const connection = {
      close: async () => {
        await console.close(!this.register.ending);
        this.register.remove(console);
      },
    };
    try {
      await console.connect(ring);
    } catch (error) {
      await connection.close();
      throw error;
    }
    return connection;
  }
}

/** The first console is found by its own keys. Other names than numbers are no console's. */
const FURTHER_CONSOLE = /^[1-9][0-9]{0,3}$/;

/** Serves every further console of ours whose back end the toolstack puts into this domain. */
export function openDeviceConsoles(
  services: ConsoleServices,
  register: ConsoleRegister,
): Promise<BackBus> {
  const { xenstore, log, hypervisor } = services;
  return BackBus.open({
    xenstore,
    log,
    domid: hypervisor.domid,
    type: 'console',
    driverFor: (device) => new DeviceConsole(device, services, register),
    serves: async ({ devid, frontend }) =>
      FURTHER_CONSOLE.test(devid) &&
      (await xenstore.readIfPresent(childPath(frontend, 'type'))) === OWN_TYPE,
  });
}
