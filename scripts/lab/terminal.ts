/** Our own terminal, lent to a process in dom0. */
import type { Lab } from './lab.ts';

/** Ctrl-\ : ends the lab at once, even when dom0 no longer answers. */
const EMERGENCY_EXIT = 0x1c;

function size() {
  return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
}

/** Runs a program with a terminal of its own, joined to ours, and resolves with its exit status. */
export async function lendTerminal(lab: Lab, argv: readonly string[]): Promise<number> {
  const child = lab.start(argv, {
    terminal: size(),
    env: { TERM: process.env.TERM ?? 'vt100' },
  });
  const onInput = (data: Buffer) => {
    if (process.stdin.isTTY && data.includes(EMERGENCY_EXIT)) void lab.close();
    else child.write(data);
  };
  const onResize = () => child.resize(size());
  const onEnd = () => child.endInput();
  child.onOutput = (_, data) => process.stdout.write(data);
  if (process.stdin.isTTY) process.stdin.setRawMode(true);
  process.stdin.on('data', onInput).on('end', onEnd);
  process.stdout.on('resize', onResize);
  try {
    return (await child.exit).code;
  } finally {
    process.stdin.off('data', onInput).off('end', onEnd).pause();
    process.stdout.off('resize', onResize);
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
  }
}
