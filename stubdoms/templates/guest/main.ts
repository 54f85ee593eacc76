/** The guest as a domain of its own. */
import { runStubDomain } from 'paravane';
import { startGuest } from './guest.ts';

runStubDomain(startGuest);
