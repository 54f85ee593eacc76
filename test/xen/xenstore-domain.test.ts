/** xenstored as a domain of its own, which serves dom0's kernel, Xen's tools and a guest. */
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { CHECKOUT } from '../../scripts/lab/debian.ts';
import { PARAVANE, startOurs, startStoreDomain } from '../../scripts/lab/host.ts';
import type { Lab } from '../../scripts/lab/lab.ts';
import { buildImage } from '../../src/dom0/image/image.ts';
import { XENSTORE_DEVICE } from '../../src/node/xenstore-device.ts';
import { scratchDirectory } from '../unikernel/native-stubdom.ts';
import { OFFER_PATH, PEER_PATH } from '../unikernel/two-domains.ts';
import { inOwnLab } from './shared-lab.ts';

const LIMIT_MS = 120_000;

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

/** Waits until the console of the store domain has shown `pattern`. */
async function storeShows(lab: Lab, pattern: RegExp): Promise<void> {
  const look = async () => {
    const { stdout } = await lab.attempt('cat /var/log/xen/console/guest-Xenstore.log');
    return pattern.exec(stdout) ?? undefined;
  };
  await lab.waitFor(`${pattern} at the console of the store domain`, look, LIMIT_MS);
}

/** Makes the script of the store domain fail, and waits until it has begun anew. */
async function failStore(lab: Lab): Promise<void> {
  await lab.run(
    'printf x >"$(xenstore-read /local/domain/$(xenstore-read /tool/xenstored/domid)/console/tty)"',
  );
  await storeShows(lab, /Error: on purpose.*begins anew.*xenstored is ready/s);
}

/** The tests of Xen's clients and of random ones, with the store domain behind dom0's kernel. */
async function runClients(lab: Lab): Promise<void> {
  const report = '/lab/clients.json';
  const reports = `--reporter=default --reporter=json --outputFile=${report}`;
  await lab.run(
    `node_modules/.bin/vitest run test/xenstored/clients.test.ts --testTimeout=300000 ${reports}`,
    {
      cwd: CHECKOUT,
      env: { XENSTORED_UNDER_TEST: XENSTORE_DEVICE },
      timeout_ms: 540_000,
    },
  );
  const counts = `const { numPassedTests: p, numPendingTests: s } = require('${report}'); p + ' ' + s`;
  expect(await lab.run(['node', '-p', counts])).toBe('6 0\n');
}

test('a stub domain is xenstored for dom0, its tools and a guest, also after it has failed or was updated', async () => {
  const file = (name: string) => join(scratch.path, `${name}.elf`);
  const [image, next, granter] = [file('failing'), file('xenstored'), file('granter')] as const;
  await buildImage('stubdoms/xenstored/unikernel.ts', next);
  await buildImage('test/unikernel/failing-xenstored-bundle.ts', image);
  await buildImage('test/unikernel/granter-bundle.ts', granter);
  await inOwnLab(async (lab) => {
    await startStoreDomain(lab, image);
    expect(await lab.run('xenstore-read /tool/xenstored/domid')).toBe(
      await lab.run('xl domid Xenstore'),
    );

    // There is no socket: our daemons and commands go through dom0's kernel.
    await Promise.all([startOurs(lab, 'xenconsoled', '--log', 'all'), startOurs(lab, 'blkback')]);
    const listed = await lab.run(['node', PARAVANE, 'read', '/tool/xenstored/domid']);
    expect(listed.trim()).toBe((await lab.run('xl domid Xenstore')).trim());
    const watcher = lab.start(['xenstore-watch', '@introduceDomain', '@releaseDomain']);
    await watcher.waitFor(/@introduceDomain.*@releaseDomain/s, LIMIT_MS);
    const config = `name="granter"\ntype="pvh"\nkernel="${granter}"\nmemory=8\nvcpus=1\nshadow_memory=2\n`;
    await lab.run('cat >/run/granter.cfg', { input: config });
    await lab.run('xl create /run/granter.cfg', { timeout_ms: LIMIT_MS });
    await watcher.waitFor(/@releaseDomain.*@introduceDomain/s, LIMIT_MS);

    // Over a ring that the store domain has mapped: the guest reads what dom0 wrote, and answers.
    const domid = Number(await lab.run('xl domid granter'));
    const home = `/local/domain/${domid}`;
    await lab.run(['xenstore-write', `${home}/${PEER_PATH}`, '0']);
    const read = async () => {
      const { code, stdout } = await lab.attempt(['xenstore-read', `${home}/${OFFER_PATH}`]);
      return code === 0 ? stdout : undefined;
    };
    const offer = await lab.waitFor('answer of the guest', read, LIMIT_MS);
    expect(JSON.parse(offer).domid).toBe(domid);

    await runClients(lab);

    // All of it is there again, watches and rings too.
    await failStore(lab);
    expect(await lab.run(['xenstore-read', `${home}/${OFFER_PATH}`])).toBe(offer);
    await lab.run(['xenstore-write', '/tool/after', 'the failure']);
    await lab.run(['xenstore-control', 'live-update', next], { timeout_ms: LIMIT_MS });
    await storeShows(lab, /live update to an image.*begins anew.*xenstored is ready/s);
    expect(await lab.run(['xenstore-read', '/tool/after'])).toBe('the failure\n');

    // Xen tells the store domain of the guest's end.
    await lab.run('xl destroy granter');
    await watcher.waitFor(/@introduceDomain.*@introduceDomain.*@releaseDomain/s, LIMIT_MS);
    await watcher.stop();
    expect((await lab.attempt(['xenstore-ls', home])).code).toBe(1);
  });
});
