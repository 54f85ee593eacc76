/**
 * A process of ours at one end of a vchan or socket without Xen, for vchan.ts:
 *
 *   bridge DIRECTORY KEYS SOCKET    `paravane vchan connect` over the shared memory in DIRECTORY
 *   vchan DIRECTORY KEYS SIZE       offers a vchan with rings of SIZE bytes and does as it is told there
 *   socket PATH                     does as it is told over the Unix socket
 */
import { createServer } from 'node:net';
import { DOM0 } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import { loadNative } from '../../src/hypervisor/linux/native.ts';
import { VchanBridge } from '../../src/node/vchan-bridge.ts';
import { vchanDuplex } from '../../src/node/vchan-duplex.ts';
import { VchanServer } from '../../src/vchan/server.ts';
import { openLocalEnd } from '../vchan/shared-memory/local-host.ts';
import { serve } from './vchan-load.ts';

async function bridge(directory: string, port: string, path: string): Promise<void> {
  const sizes = { receive_min: 0, send_min: 0, connections_max: 1 };
  const target = { kind: 'unix', path } as const;
  const settings = { role: 'connect', domain: '0', port, target, statePath: undefined, ...sizes };
  const end = await openLocalEnd(directory);
  await new VchanBridge(end, loadNative(), settings as never, silentLog).run();
}

async function offer(directory: string, path: string, size: number): Promise<void> {
  const end = await openLocalEnd(directory);
  const options = { client: DOM0, path, receive_min: size, send_min: size };
  await VchanServer.listen(end, options, (vchan) => serve(vchanDuplex(vchan)));
}

const [, , role, first = '', second = '', third = ''] = process.argv;
process.on('SIGTERM', () => process.exit());
if (role === 'bridge') await bridge(first, second, third);
else if (role === 'vchan') await offer(first, second, Number(third));
else createServer(serve).listen(first);
