#!/usr/bin/env -S node --max-semi-space-size=2
/**
 * The `paravane` command. New objects get 2 MiB of memory at a time, which a processor's cache holds;
 * with V8's 16 the daemons take longer for a request, and twice the memory. It cannot be said later.
 */
import { errorCode } from '../base/errors.ts';
import { EXIT_FAILED } from './exit-codes.ts';
import { runProgram } from './program.ts';
import { services } from './services.ts';
import { processTerminal } from './terminal.ts';

// Whoever reads our output may stop early, as `head` does; there is nobody left to complain to.
process.stdout.on('error', (error) => {
  if (errorCode(error) === 'EPIPE') process.exit(EXIT_FAILED);
  throw error;
});

// The code, not an exit: what is still on its way to a pipe must arrive.
process.exitCode = await runProgram(process.argv.slice(2), services, processTerminal);
