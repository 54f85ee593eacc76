/** `paravane` in this process, for commands that need no host. */
import { runProgram } from '../../src/dom0/program.ts';
import type { Outcome } from './host.ts';

export async function paravane(...args: string[]): Promise<Outcome> {
  const said = { out: '', error: '' };
  const code = await runProgram(args, [], {
    width: 80,
    out: (text) => {
      said.out += text;
    },
    error: (text) => {
      said.error += text;
    },
  });
  return { code, ...said };
}
