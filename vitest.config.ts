import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Real processes and real files: a hung wait fails by its own name long before this.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two cores: more workers than that only makes the processes under test wait for one another.
    maxWorkers: 2,
    setupFiles: ['test/helpers/fail-on-warnings.ts'],
  },
})
