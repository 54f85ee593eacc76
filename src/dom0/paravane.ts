#!/usr/bin/env -S node --max-semi-space-size=8 --no-memory-reducer
/**
 * The `paravane` command. New objects get 8 MiB of memory at a time: with 2 a burst of requests is
 * collected over and over, with V8's 16 a store of 100,000 nodes takes a third more. And a daemon
 * that had nothing to do for some seconds keeps its compiled code, which V8's memory reducer would
 * drop: the next hundreds of requests would take several times as long. Neither can be said later.
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
