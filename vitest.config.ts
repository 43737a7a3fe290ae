import { defineConfig } from 'vitest/config'

/** The gears of the relay that are there on this system. */
const GEARS = ['streams', 'sockets', ...(process.platform === 'linux' ? ['splice'] : [])]

/** How transfers end: that has to be the same by whatever gear. */
const ENDINGS = [
  'test/server/{early-leave,reservations,wait,broker/events,relay/transfer}.test.ts',
  'test/e2e/{delivered,sender-lost,receiver-lost,interrupt}.test.ts',
]

/** The same for connections that are hurt; with all the gears at once they take longer, and write a page. */
const FAULTS = 'test/faults/matrix.test.ts'

/**
 * What takes long and is about other programs, about names, words and documents, or about strangers' bytes before
 * they reach anything of Node's that differs: once, on the machine's own Node.
 */
const ONE_NODE = [
  'test/*.test.ts',
  'test/client/{folders,hostile-names,reservation,cli/job-control,cli/token,http/proxy,receive/place}.test.ts',
  'test/contract/*.test.ts',
  'test/e2e/{browser,browser-poison,curl-names,file-names,forged-headers,hostile-memory,limits}.test.ts',
  'test/e2e/{malformed,old-clients,programs,proxies,ranges,receive,shell,shutdown}.test.ts',
  'test/faults/*.test.ts',
  'test/fuzz/*.test.ts',
  'test/server/{mounts,slow-heads,request/access,cli/check,cli/config-file,cli/run,cli/token-files}.test.ts',
]
const isOtherNode = process.env['SUITE'] === 'other-node'

export default defineConfig({
  test: {
    // Real processes and real files: a hung wait fails by its own name long before this.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // One more than the cores of a small machine: a third of what the tests do is to wait for time to pass.
    maxWorkers: 3,
    globalSetup: ['test/no-secret-logged.ts'],
    setupFiles: ['test/helpers/fail-on-warnings.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'once',
          include: ['test/**/*.test.ts'],
          exclude: [...ENDINGS, ...(isOtherNode ? ONE_NODE : [])],
        },
      },
      ...GEARS.map((gear) => ({
        extends: true as const,
        // Whatever the tests start reads it, as an operator's variable.
        test: {
          name: `by ${gear}`,
          include: [...ENDINGS, ...(isOtherNode ? [] : [FAULTS])],
          // Files of every size between real clients: there by the gear that has most to do with Node's inside.
          exclude: isOtherNode && gear !== 'splice' ? ['test/e2e/delivered.test.ts'] : [],
          env: { ESS_RELAY: gear },
        },
      })),
    ],
  },
})
