/** Much output of a guest at its console, and whether all of it is in the log. */
import type { Lab } from '../../scripts/lab/lab.ts';

const LIMIT_MS = 360_000;

/** What follows the number in a line: an emulated guest takes longer to write a number than a line. */
const PADDING = `-${'0123456789'.repeat(6)}`;

/** Line `number` of a flood, without its end. */
export const floodLine = (number: number) => `${number}${PADDING}`;

/** A command of busybox's shell and of bash that prints `count` lines. The last one is the number alone. */
export const printLines = (count: number) => `seq -s $'${PADDING}\\n' 1 ${count}`;

/** What is typed at a guest's shell so that it prints `count` numbered lines: by `cat` not one by one. */
export const flood = (count: number) =>
  `stty -opost; echo FLOOD-"BEGIN"; ${printLines(count)} | cat; echo FLOOD-"END"; stty opost`;

/** Resolves once the flood has ended in the log. */
export function floodEnd(lab: Lab, log: string, limit_ms: number): Promise<true> {
  const look = async () => {
    // The lab's account of the test shows how far it is.
    const show = `(du -ab ${log}*; false)`;
    const { code } = await lab.attempt(`tail -c 200 ${log} | grep FLOOD-END || ${show}`);
    return code === 0 ? true : undefined;
  };
  return lab.waitFor('end of the output', look, limit_ms);
}

/** `whole` if the log holds the flood's lines in order, each once, after the last FLOOD-BEGIN. */
export async function floodIsWhole(lab: Lab, log: string, count: number): Promise<string> {
  const out = await lab.run(
    `tac ${log} | sed '/FLOOD-BEGIN/q' | tac | tr -d '\\r' | grep -E '^[0-9]+(-|$)' >/tmp/printed
     ${printLines(count)} | cmp - /tmp/printed && echo whole`,
    { timeout_ms: LIMIT_MS },
  );
  return out.trim();
}
