/** The toolstack's hotplug script, which prepares the host's side of a device. */
import type { DeviceKeys } from './device-end.ts';

/** Whether the script of the device has finished; one without a script is ready at once. */
export async function isHotplugDone(keys: DeviceKeys): Promise<boolean> {
  if ((await keys.read('script')) === undefined) return true;
  return (await keys.read('hotplug-status')) === 'connected';
}
