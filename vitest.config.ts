import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: { conditions: ['@heed/source'] },
  ssr: { resolve: { conditions: ['@heed/source'] } },
  test: {
    include: [
      'packages/*/test/**/*.test.ts',
      'apps/*/test/**/*.test.ts',
      'tooling/*/test/**/*.test.ts',
      'examples/test/**/*.test.ts',
    ],
    setupFiles: ['./tooling/vitest/setup.ts'],
    reporters: ['default', './tooling/vitest/closing-line.ts'],
    // Each file runs in its own process: a native addon and its thread pool belong to one process.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
