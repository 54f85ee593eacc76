/** The services of `paravane run`, in the order in which its help shows them. */
import { blkbackService } from './run-blkback.ts';
import type { Service } from './run-command.ts';
import { consoleRelayService } from './run-console-relay.ts';
import { driverDomainService } from './run-driver-domain.ts';
import { netbackService } from './run-netback.ts';
import { storeDomainService } from './run-store-domain.ts';
import { xenconsoledService } from './run-xenconsoled.ts';
import { xenstoredService } from './run-xenstored.ts';

export const services: readonly Service[] = [
  xenstoredService,
  xenconsoledService,
  consoleRelayService,
  blkbackService,
  netbackService,
  driverDomainService,
  storeDomainService,
];
