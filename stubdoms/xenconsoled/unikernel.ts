/**
 * What the console daemon is made of, as a stub domain of its own. Terminals, logs and viewers are in
 * dom0, with `paravane run console-relay`. `overflow=keep` on the domain's command line has guests wait
 * for somebody who reads their terminals.
 */
import { runStubDomain } from '../stub-domain.ts';
import { startConsoleService } from './service.ts';

runStubDomain(async (domain) => {
  const overflow = /(?:^|\s)overflow=keep(?:\s|$)/.test(domain.commandLine) ? 'keep' : 'discard';
  const service = await startConsoleService({ ...domain, overflow });
  // Without a way to a relay the domain is of no use: it ends, and is made again.
  void service.ended.then((reason) => {
    throw reason;
  });
  return service;
});
