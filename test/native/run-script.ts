/** Small programs in a process of their own, for what ends a process or needs its flags. */
import { spawnSync } from 'node:child_process';
import { shimPath } from './shim.ts';

const prelude = `
  const fs = require('node:fs');
  const native = require(${JSON.stringify(shimPath)});
  const path = process.env.TEST_FILE;
  /** How often the test's file is mapped. */
  const mapped = () => fs.readFileSync('/proc/self/maps', 'latin1').split(path).length - 1;
  const map = () => {
    const fd = fs.openSync(path, 'r+');
    try { return native.mapFile(fd, 0, 2); } finally { fs.closeSync(fd); }
  };
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  /** Collects garbage until the condition holds. */
  const collect = async (holds) => {
    for (let i = 0; i < 50; i++) {
      // A WeakRef that the condition looked at holds its object until the turn is over.
      await turn();
      global.gc();
      if (holds()) return;
    }
  };
  const say = (value) => console.log(JSON.stringify(value));
`;

/** Runs the program with the shim, a file of two pages and these words; returns what it said. */
export function runScript(file: string, program: string): { said: unknown[]; status: string } {
  const { stdout, stderr, status, signal } = spawnSync(
    process.execPath,
    ['--expose-gc', '-e', `${prelude}(async () => {${program}})()`],
    { encoding: 'utf8', env: { ...process.env, TEST_FILE: file, TEST_PRELUDE: prelude } },
  );
  const said = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown);
  return { said, status: signal ?? (status === 0 ? 'ok' : `${status}: ${stderr}`) };
}
