/**
 * xenstored on the engine, with a client on the other end of its ring in the same domain. Prints what
 * it sees, and how much memory many nodes leave: as many as `nodes=` on the command line says.
 */
import { SHUTDOWN_crash, SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { silentLog } from '../../src/base/log.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { openUnikernelHypervisor } from '../../src/hypervisor/unikernel/hypervisor.ts';
import { checks } from './checks.ts';
import { startOwnStore } from './own-host.ts';

const NODES_DEFAULT = 500;

const loop = eventLoop();
const { xen } = loop;
const { check, failures } = checks(xen);
const hypervisor = openUnikernelHypervisor();
const nodes = Number(/nodes=(\d+)/.exec(xen.commandLine)?.[1] ?? NODES_DEFAULT);

async function main(): Promise<void> {
  const client = startOwnStore(hypervisor, loop, silentLog);
  await client.write('/tool/greeting', 'hello');
  const greeting = await client.read('/tool/greeting');
  check('what was written is read', () => greeting === 'hello');
  const missing = await client.readIfPresent('/tool/missing');
  check('what was not written is not there', () => missing === undefined);

  let fired = 0;
  await client.watch('/tool', () => {
    fired += 1;
  });
  await client.transaction(async (inside) => {
    await inside.write('/tool/a', '1');
    await inside.write('/tool/b', '2');
  });
  const names = await client.list('/tool');
  check('a transaction is committed', () => ['a', 'b'].every((name) => names.includes(name)));
  check('a watch has fired for it', () => fired >= 3);

  const start_ms = loop.now_ms();
  for (let node = 0; node < nodes; node++) {
    await client.write(`/many/${node % 100}/${node}`, `value ${node}`);
  }
  const each_us = ((loop.now_ms() - start_ms) * 1000) / nodes;
  const last = await client.read(`/many/${(nodes - 1) % 100}/${nodes - 1}`);
  check('all nodes are kept', () => last === `value ${nodes - 1}`);
  xen.print(`xenstored: ${JSON.stringify({ ...xen.memory(), each_us: Math.round(each_us) })}\n`);
  xen.shutDown(failures() === 0 ? SHUTDOWN_poweroff : SHUTDOWN_crash);
}

void main();
