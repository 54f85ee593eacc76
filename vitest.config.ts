import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/xen/**'],
    // Two workers: the machines this runs on have two cores.
    maxWorkers: 2,
    // For what hangs. A machine with much else to do is slow, and that is no failure.
    testTimeout: 120_000,
  },
});
