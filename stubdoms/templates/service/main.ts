/** The service as a domain of its own. */
import { runStubDomain } from 'paravane';
import { startService } from './service.ts';

runStubDomain(startService);
