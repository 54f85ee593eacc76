/** The relay of a console domain as a service: what it is made of beside the terminals and logs of its host. */
import type { ByteStream } from '../../src/base/byte-stream.ts';
import { sleep } from '../../src/base/clock.ts';
import { errorCode, XenError } from '../../src/base/errors.ts';
import type { DomId } from '../../src/base/ids.ts';
import { VchanConnector } from '../../src/vchan/client.ts';
import { vchanPath } from '../../src/vchan/keys.ts';
import { AssignedConsoles } from '../../src/xenconsoled/assigned-consoles.ts';
import type { ConsolePlace } from '../../src/xenconsoled/console-outlets.ts';
import { ConsoleRelay } from '../../src/xenconsoled/console-relay.ts';
import {
  hostOutlets,
  type LogOptions,
  startXenconsoled,
  type Xenconsoled,
  type XenconsoledServices,
} from '../../src/xenconsoled/xenconsoled.ts';
import { findDomain } from '../../src/xenstore/domain-name.ts';
import { RELAY_PORT } from './service.ts';

const CONSOLE_DOMAIN_DIRECTORY = '/tool/xenconsoled';
/** Where libxl reads which domain guests' consoles are for, when it makes them. */
const CONSOLE_DOMAIN_KEY = `${CONSOLE_DOMAIN_DIRECTORY}/domid`;
/** Between two looks for a domain that is not there. */
const LOOK_MS = 500;

/** The way to a console domain that may not be there yet, be gone, and come back under its number. */
class DomainLine {
  private readonly services: XenconsoledServices;
  private readonly name: string;
  private consoles: AssignedConsoles | undefined;
  private connector: VchanConnector | undefined;
  private closed = false;

  constructor(services: XenconsoledServices, name: string) {
    this.services = services;
    this.name = name;
  }

  /** Rejects with `XenError` once it is closed, or where the domain breaks a rule. */
  async connect(): Promise<ByteStream> {
    const { services } = this;
    for (;;) {
      this.consoles ??= await this.findDomain();
      const server = this.consoles.consoleDomain;
      const path = vchanPath(server, services.hypervisor.domid, RELAY_PORT);
      this.connector ??= await VchanConnector.open(services, server, path);
      try {
        return await this.connector.connect();
      } catch (error) {
        if (this.closed || errorCode(error) !== 'ESRCH') throw error;
      }
      await this.connector.close();
      this.connector = undefined;
      await sleep(services.clock, LOOK_MS);
    }
  }

  /** The guest's first console, if it is the console domain's. */
  async placeOf(guest: DomId): Promise<ConsolePlace | undefined> {
    return this.consoles?.placeOf(guest);
  }

  /** From then on, new guests have their consoles in dom0. */
  async close(): Promise<void> {
    this.closed = true;
    await this.connector?.close();
    if (this.consoles === undefined) return;
    await this.services.xenstore.transaction(async (nodes) => {
      await nodes.remove(CONSOLE_DOMAIN_KEY);
      const others = await nodes.list(CONSOLE_DOMAIN_DIRECTORY);
      if (others.length === 0) await nodes.remove(CONSOLE_DOMAIN_DIRECTORY);
    });
    await this.consoles.close();
  }

  /** Waits for the domain, and from then on has new guests have their consoles there. */
  private async findDomain(): Promise<AssignedConsoles> {
    const { hypervisor, xenstore, clock, log } = this.services;
    for (let looks = 0; !this.closed; looks++) {
      try {
        const consoleDomain = await findDomain(xenstore, this.name);
        const parts = { xenstore, log, domid: hypervisor.domid, consoleDomain };
        const consoles = await AssignedConsoles.open(parts);
        await xenstore.write(CONSOLE_DOMAIN_KEY, String(consoleDomain));
        return consoles;
      } catch (error) {
        if (errorCode(error) !== 'ENOENT') throw error;
        if (looks === 0) log.info(`waits for domain ${this.name}`);
      }
      await sleep(clock, LOOK_MS);
    }
    throw new XenError('ECONNRESET', `wait for domain ${this.name}`, 'it was given up');
  }
}

/**
 * Serves what the domain called `name` has no way to, and the consoles that are dom0's all the same: that
 * of the domain itself, and of guests from before it was there. Rejects when the logs or xenstore can't
 * be reached.
 */
export async function startConsoleRelay(
  services: XenconsoledServices,
  options: LogOptions,
  name: string,
): Promise<Xenconsoled> {
  const { clock, log } = services;
  const own = await startXenconsoled(services, { ...options, overflow: 'discard' });
  const outlets = hostOutlets(services, options);
  const line = new DomainLine(services, name);
  const relay = new ConsoleRelay({
    ...{ outlets, clock, log },
    placeOf: (guest) => line.placeOf(guest),
    connect: () => line.connect(),
  });
  return {
    reopenLogs() {
      own.reopenLogs();
      outlets.reopenLogs();
    },
    attachViewer: (stream) => relay.addViewer(stream),
    async close() {
      await Promise.all([line.close(), relay.close()]);
      outlets.close();
      await own.close();
    },
  };
}
