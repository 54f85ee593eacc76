/**
 * The console of a domain that serves consoles. Made again, it is given its own to serve, which it
 * cannot while it is being made; but libxl makes no domain whose console has no terminal.
 */
import { errorMessage } from '../../base/errors.ts';
import type { DomId } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import { domainHome } from '../../xenstore/path.ts';
import type { Xenstore, XenstoreNodes } from '../../xenstore/xenstore.ts';

/** A terminal that shows nothing. */
const NO_TERMINAL = '/dev/null';

async function provide(nodes: XenstoreNodes, console: string, domid: DomId): Promise<void> {
  const backend = await nodes.readIfPresent(`${console}/backend-id`);
  const terminal = await nodes.readIfPresent(`${console}/tty`);
  if (backend !== String(domid) || terminal !== '') return;
  await nodes.write(`${console}/tty`, NO_TERMINAL);
}

/** Gives domain `domid` a terminal, if nobody but itself would, while `make` makes it. */
export async function withOwnConsole<Result>(
  xenstore: Xenstore,
  domid: DomId | undefined,
  log: Log,
  make: () => Promise<Result>,
): Promise<Result> {
  if (domid === undefined) return make();
  const console = `${domainHome(domid)}/console`;
  const look = () => {
    xenstore
      .transaction((nodes) => provide(nodes, console, domid))
      .catch((error) => log.warn('no terminal for the domain', { error: errorMessage(error) }));
  };
  const watch = await xenstore.watch(`${console}/tty`, look);
  try {
    return await make();
  } finally {
    await watch.close();
  }
}
