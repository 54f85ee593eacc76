/** A stub domain that says every line typed at its console: the least that proves an image works. */
import { SHUTDOWN_poweroff } from '../../src/abi/sched.ts';
import { onConsoleInput } from '../../src/hypervisor/unikernel/console.ts';
import { eventLoop } from '../../src/hypervisor/unikernel/event-loop.ts';
import { runStubDomain } from '../stub-domain.ts';

const loop = eventLoop();
const { xen } = loop;

function say(text: string): void {
  if (text === 'exit') xen.shutDown(SHUTDOWN_poweroff);
  xen.print(`\n${text}\n`);
}

runStubDomain(async () => {
  let line = '';
  onConsoleInput(loop, (text) => {
    for (const character of text) {
      if (character === '\r' || character === '\n') {
        say(line);
        line = '';
      } else {
        line += character;
        xen.print(character);
      }
    }
  });
  xen.print(`echo: domain ${xen.domid} says what you type; "exit" ends it\n`);
  return { close: () => {} };
});
