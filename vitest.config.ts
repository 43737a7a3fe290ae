import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * What a run has; CONTRIBUTING.md has the same as a table.
 *
 * - `test` (vitest's own name for no mode): what a developer runs, within four minutes.
 * - `rest`: all that `test` leaves out. The two together are `npm run test:all`.
 * - `all`: both in one run, for another Node.
 * - `most`: that but for what other programs do, and some of what takes long, for the newest Node.
 * - `node`: what is about Node, for a Node in between.
 * - `pages`: two browsers, through cuts and large files: ten minutes of a small machine, which the CI doesn't have.
 */
const RUNS = ['test', 'rest', 'all', 'most', 'node', 'pages'] as const

/** The gears of the relay that this system has. The last one is the one that most transfers take. */
const GEARS = ['streams', 'sockets', ...(process.platform === 'linux' ? ['splice'] : [])]
const USUAL_GEAR = GEARS.at(-1)

/** How transfers end, which must be the same in every gear. */
const ENDINGS = [
  'test/server/{early-leave,reservations,wait,broker/events,relay/transfer}.test.ts',
  'test/e2e/{delivered,sender-lost,receiver-lost,interrupt}.test.ts',
]

/** What must be the same where several workers share a port: how transfers end, and how a server stops. */
const BY_WORKERS = [
  'test/e2e/{delivered,interrupt,receive,receiver-lost,sender-lost,shutdown,tls}.test.ts',
  'test/client/resume.test.ts',
  'test/faults/{races,told-truly}.test.ts',
]

/** What must be the same where a receiver lands at another node than its sender. Real programs need a real Redis there. */
const BY_NODES = [
  'test/server/{half-close,head-wait,reservations,resume,unread-bodies,wait,broker/events,relay/transfer}.test.ts',
  ...(isInstalled('redis-server')
    ? ['test/e2e/{delivered,sender-lost,receiver-lost,interrupt}.test.ts']
    : []),
]

function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)))
}

/** Every ending meets every fault. Once with HTTP/2, the waits of 30 s and the page docs/faults.md; then in each gear. */
const MATRIX = 'test/faults/matrix.test.ts'

/** What takes long: gigabytes, memory, thousands of transfers, other people's programs. */
const LONG = [
  'test/{bundle,embedding-types,image,install,runs,terminals}.test.ts',
  'test/client/bundle/{send-folder,pack/offsets}.test.ts',
  'test/client/cli/{bundle-screen,password,qr-code}.test.ts',
  'test/client/doctor/fronts.test.ts',
  'test/client/receive/{bundle-parts,password-asked,sealed-resume}.test.ts',
  'test/client/seal/other-programs.test.ts',
  'test/e2e/{browser,browser-poison,draft-page,forged-headers,old-clients,programs,proxies,ranges}.test.ts',
  'test/e2e/{hostile-memory,http2-floods,memory,no-loopback,renewed-certificate,sealed-memory}.test.ts',
  'test/e2e/resuming-{browsers,networks,programs}.test.ts',
  'test/web/{proxies,browsers/*}.test.ts',
  'test/faults/{processes,told-truly}.test.ts',
  'test/server/{leak,promoted,locator/redis-trouble}.test.ts',
]

/** What browsers do with the page when their connection is cut, and with files of any size. */
const PAGES = ['test/web/browsers/{sending-cuts,receiving-cuts,receiving}.test.ts']

/** The slowest files, one to three minutes each. What begins last must be short, or one worker runs on alone. */
const SLOWEST = /\/(?:resuming-networks|proxies|install|fuzz|fronts|matrix)\.test\.ts$/

class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return [
      ...sorted.filter(({ moduleId }) => SLOWEST.test(moduleId)),
      ...sorted.filter(({ moduleId }) => !SLOWEST.test(moduleId)),
    ]
  }
}

/** What other programs do with ESS: proxies, clients, shells, installers, other people's types and bundlers. */
const OTHER_PROGRAMS = [
  'test/{bundle,embedding-types,image,install,runs,terminals}.test.ts',
  'test/client/cli/completion.test.ts',
  'test/client/doctor/fronts.test.ts',
  'test/client/seal/other-programs.test.ts',
  'test/e2e/{first-minutes,forged-headers,old-clients,programs,proxies,proxy-cuts}.test.ts',
  'test/e2e/{draft-page,no-loopback,resuming-browsers,resuming-networks,resuming-programs}.test.ts',
  'test/web/{proxies,browsers/*}.test.ts',
]

/**
 * What no Node between the oldest and the newest changes: words, documents, options, other programs, gigabytes, bytes
 * that are refused before Node differs.
 */
const ONE_NODE = [
  'test/*.test.ts',
  'test/client/bundle/**/*.test.ts',
  'test/client/seal/{keys,other-programs,passphrase,sealed-note,testkit}.test.ts',
  'test/client/receive/{bundle-parts,password-asked,sealed-lies}.test.ts',
  'test/client/{folders,hostile-names,reservation,cli/job-control,cli/options,cli/token,http/proxy,receive/place}.test.ts',
  'test/client/cli/{bundle-screen,encryption,password,text,commands,completion,hints,link,qr-code,usage,without-keys}.test.ts',
  'test/client/doctor/*.test.ts',
  'test/contract/*.test.ts',
  'test/e2e/{browser,browser-poison,curl-names,file-names,first-minutes,forged-headers,hostile-memory}.test.ts',
  'test/e2e/{limits,malformed,memory,old-clients,programs,proxies,proxy-cuts,ranges,receive}.test.ts',
  'test/e2e/{draft-page,no-loopback,renewed-certificate,sealed-memory}.test.ts',
  'test/e2e/resuming-{browsers,networks,programs}.test.ts',
  'test/e2e/{shell,shutdown}.test.ts',
  'test/faults/*.test.ts',
  'test/fuzz/*.test.ts',
  'test/web/**/*.test.ts',
  'test/server/{mounts,slow-heads,request/access,cli/check,cli/config-file,cli/first-screen,cli/help,cli/run,cli/token-files}.test.ts',
]

/** What takes seconds to minutes, and is about our own code more than about Node: once is enough. */
const LONG_ON_ONE_NODE = [
  'test/client/bundle/{send-folder,pack/offsets,unpack/hostile,unpack/limits}.test.ts',
  'test/client/cli/{bundle-screen,encryption,password,qr-code,text}.test.ts',
  'test/client/receive/{bundle-parts,late-count,password-asked,sealed-lies,sealed-resume}.test.ts',
  'test/e2e/sealed-memory.test.ts',
  'test/web/**/*.test.ts',
]

/** A few connections of the fuzzer find what is badly broken; `rest` says 20,000. */
const FEW_FUZZ_RUNS = { ESS_FUZZ_RUNS: process.env['ESS_FUZZ_RUNS'] ?? '1000' }

export default defineConfig(({ mode }) => {
  const run = RUNS.find((name) => name === mode)
  if (run === undefined) throw new Error(`Expected --mode to be one of ${RUNS.join(', ')}, got ${mode}`)

  /** What runs once, by whatever gear each transfer takes. */
  const once = {
    test: { include: ['test/**/*.test.ts'], exclude: [...ENDINGS, ...LONG, ...PAGES], env: FEW_FUZZ_RUNS },
    rest: { include: [...LONG, 'test/fuzz/*.test.ts'], exclude: PAGES },
    all: { include: ['test/**/*.test.ts'], exclude: [...ENDINGS, ...PAGES] },
    most: { include: ['test/**/*.test.ts'], exclude: [...ENDINGS, ...OTHER_PROGRAMS, ...LONG_ON_ONE_NODE] },
    node: { include: ['test/**/*.test.ts'], exclude: [...ENDINGS, ...ONE_NODE] },
    pages: { include: PAGES, exclude: [] },
  }[run]

  /** What runs in one gear alone. */
  const inGear = (gear: string) => {
    const isUsual = gear === USUAL_GEAR
    return {
      test: { include: isUsual ? ENDINGS : [], exclude: [] },
      rest: { include: isUsual ? [MATRIX] : [...ENDINGS, MATRIX], exclude: [] },
      all: { include: [...ENDINGS, MATRIX], exclude: [] },
      most: { include: isUsual ? [...ENDINGS, MATRIX] : ENDINGS, exclude: [] },
      // Files of every size between real clients: in the gear that has most to do with Node's inside.
      node: { include: ENDINGS, exclude: isUsual ? [] : ['test/e2e/delivered.test.ts'] },
      pages: { include: [], exclude: [] },
    }[run]
  }

  return {
    test: {
      // Real processes and real files: a hung wait fails by its own name long before this.
      testTimeout: 60_000,
      hookTimeout: 60_000,
      // Twice the cores of a small machine: half of what the tests do is to wait.
      maxWorkers: 4,
      sequence: { sequencer: SlowestFirst },
      globalSetup: ['test/no-secret-logged.ts'],
      setupFiles: ['test/helpers/fail-on-warnings.ts'],
      projects: [
        { extends: true, test: { name: 'once', ...once } },
        ...GEARS.map((gear) => ({ gear, files: inGear(gear) }))
          .filter(({ files }) => files.include.length > 0)
          .map(({ gear, files }) => ({
            extends: true as const,
            // All that the tests start reads it, as an operator's variable.
            test: { name: `by ${gear}`, ...files, env: { ESS_RELAY: gear } },
          })),
        ...(run === 'test' || run === 'pages' || run === 'node'
          ? []
          : [
              {
                extends: true as const,
                test: { name: 'by two workers', include: BY_WORKERS, env: { ESS_WORKERS: '2' } },
              },
              {
                extends: true as const,
                test: {
                  name: 'at the wrong node',
                  include: BY_NODES,
                  env: { ESS_NODES: '2', ESS_RELAY: USUAL_GEAR },
                },
              },
            ]),
      ],
    },
  }
})
