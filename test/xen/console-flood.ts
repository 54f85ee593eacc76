/** Much output of a guest at its console, and whether all of it is in the log. */
import type { Lab } from '../../scripts/lab/lab.ts';

const LIMIT_MS = 360_000;

/** What is typed at a guest's shell so that it prints the numbers up to `count`: by `cat` not line by line. */
export const flood = (count: number) =>
  `stty -opost; echo FLOOD-"BEGIN"; seq 1 ${count} | cat; echo FLOOD-"END"; stty opost`;

/** Resolves once the flood has ended in the log. */
export function floodEnd(lab: Lab, log: string, limit_ms: number): Promise<true> {
  const look = async () => {
    // The lab's account of the test shows how far it is.
    const { code } = await lab.attempt(`tail -c 200 ${log} | grep FLOOD-END || ! du -ab ${log}*`);
    return code === 0 ? true : undefined;
  };
  return lab.waitFor('end of the output', look, limit_ms);
}

/** `whole` if the log holds the numbers from 1 to `count` in order, each once, after the last FLOOD-BEGIN. */
export async function countsWhole(lab: Lab, log: string, count: number): Promise<string> {
  const out = await lab.run(
    `tac ${log} | sed '/FLOOD-BEGIN/q' | tac | tr -d '\\r' | grep -E '^[0-9]+$' >/tmp/counted
     seq 1 ${count} | cmp - /tmp/counted && echo whole`,
    { timeout_ms: LIMIT_MS },
  );
  return out.trim();
}
