import { defineConfig } from 'vitest/config';

/** The tests on real Xen: `npm run test:xen`, or `npm run test:xen -- NAME` for the files of that name. */
export default defineConfig({
  test: {
    include: ['test/xen/**/*.test.ts'],
    // One worker for all files, so that they share one lab: booting it costs more than most tests.
    isolate: false,
    fileParallelism: false,
    // An emulated machine is slow. What takes too long has a limit, and an error, of its own.
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
