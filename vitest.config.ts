import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/xen/**'],
    // Two workers: the machines this runs on have two cores.
    maxWorkers: 2,
    testTimeout: 30_000,
  },
});
