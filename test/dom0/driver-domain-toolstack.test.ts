/** How the toolstack is asked. A script of ours stands for xl. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { domId } from '../../src/base/ids.ts';
import { hostToolstack } from '../../src/dom0/driver-domain/toolstack.ts';

const { PATH } = process.env;
let directory: string;

/** Notes its arguments, prints what `answer` says, and ends with `status`. */
function putXl(answer: string, status = 0): void {
  const path = join(directory, 'xl');
  const says = `cat <<'END'\n${answer}\nEND`;
  const note = `echo "$@" >>${join(directory, 'asked')}`;
  writeFileSync(path, `#!/bin/sh\n${note}\n${says}\necho 'xl: no such file' >&2\nexit ${status}\n`);
  chmodSync(path, 0o755);
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paravane-'));
  process.env.PATH = `${directory}:${PATH}`;
});

afterEach(() => {
  process.env.PATH = PATH;
  rmSync(directory, { recursive: true });
});

test('the name of a domain is that of its configuration as xl reads it', async () => {
  putXl('{ "c_info": { "name": "blkback" }, "b_info": {} }');
  expect(await hostToolstack('/etc/xen/blkback.cfg').name()).toBe('blkback');
  const asked = readFileSync(join(directory, 'asked'), 'latin1');
  expect(asked).toBe('create --dryrun --quiet /etc/xen/blkback.cfg\n');
});

test('domains are destroyed and started by their number', async () => {
  putXl('');
  const toolstack = hostToolstack('/etc/xen/blkback.cfg');
  await toolstack.unpause(domId(7));
  await toolstack.destroy(domId(7));
  expect(readFileSync(join(directory, 'asked'), 'latin1')).toBe('unpause 7\ndestroy 7\n');
});

test('what xl refuses is passed on in its words', async () => {
  putXl('', 1);
  await expect(hostToolstack('/nowhere').name()).rejects.toThrow(
    'run xl create --dryrun --quiet /nowhere: xl: no such file (EIO)',
  );
});

test('a host without xl is told so', async () => {
  process.env.PATH = directory;
  await expect(hostToolstack('/nowhere').name()).rejects.toMatchObject({ code: 'ENOENT' });
});

test.skipIf(existsSync('/dev/xen/privcmd'))(
  'outside of dom0 no domain is made, and libxl is said not to work there',
  async () => {
    putXl('{ "c_info": { "name": "blkback" }, "b_info": {} }');
    const toolstack = hostToolstack('/etc/xen/blkback.cfg');
    await expect(toolstack.create(domId(7))).rejects.toThrow('libxl does not work here');
  },
);
