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
 * - `node`: what another Node could change, without what takes long and was never seen to differ.
 * - `pages`: two browsers, through cuts, large files and proxies: half an hour of a small machine, which the CI doesn't have.
 * - `several`: how transfers end by two workers, at the wrong one of two nodes, with and without TLS between them, and behind
 *   a balancer; hundreds of them while nodes are restarted.
 */
const RUNS = ['test', 'rest', 'all', 'node', 'pages', 'several'] as const

/** The gears of the relay that this system has. The last one is the one that most transfers take. */
const GEARS = ['streams', 'sockets', ...(process.platform === 'linux' ? ['splice'] : [])]
const USUAL_GEAR = GEARS.at(-1)

/** How transfers end, which must be the same in every gear. */
const ENDINGS = [
  'test/server/{early-leave,reservations,wait,broker/events,relay/transfer}.test.ts',
  'test/e2e/{delivered,sender-lost,receiver-lost,interrupt}.test.ts',
]

/** What must be the same where several workers share a port: how transfers end, and how a server stops. */
const BY_WORKERS = ['test/e2e/{receiver-lost,sender-lost,shutdown,tls}.test.ts', 'test/faults/races.test.ts']

/**
 * Those of them that say most about endings for their time: what is said of a receiver that was lost at any moment, and
 * hundreds of races, each with one winner and one end.
 */
const BY_WORKERS_EACH_TIME = ['test/e2e/receiver-lost.test.ts', 'test/faults/races.test.ts']

/** What must be the same where a receiver lands at another node than its sender. Real programs need a real Redis there. */
const BY_NODES = [
  'test/server/{early-leave,half-close,head-wait,reservations,resume,unread-bodies,wait}.test.ts',
  'test/server/{broker/events,relay/transfer}.test.ts',
  ...(isInstalled('redis-server') ? ['test/e2e/{sender-lost,receiver-lost}.test.ts'] : []),
]

/** What must be the same with TLS between the nodes, beside that. `test/server/nodes/carry-tls.test.ts` has it small. */
const BY_TLS = [
  'test/server/nodes/{carry,moved,moved-by-speech,moved-over-redis,stopping-connections}.test.ts',
  'test/e2e/nodes.test.ts',
]

function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)))
}

/**
 * What must be the same where three nodes and a Redis are behind haproxy, which gives each connection to the next node:
 * endings, reservations, resuming and races.
 */
const BALANCED = [
  'test/server/{early-leave,half-close,head-wait,reservations,resume,unread-bodies,wait}.test.ts',
  'test/server/{broker/events,relay/transfer}.test.ts',
]
const BALANCED_PROGRAMS = [
  'test/e2e/{delivered,interrupt,receiver-lost,sender-lost}.test.ts',
  'test/faults/races.test.ts',
]

/**
 * Every ending meets every fault. Once with HTTP/2, the waits of 30 s and the page docs/faults.md; then in each gear. The
 * same behind a balancer, where most runs have a part of it.
 */
const MATRIX = 'test/faults/matrix.test.ts'

/** What takes long: gigabytes, memory, thousands of transfers, other people's programs. */
const LONG = [
  'test/{bundle,cluster-files,embedding-types,image,install,runs,terminals}.test.ts',
  'test/client/bundle/{send-folder,pack/offsets}.test.ts',
  'test/client/cli/{bundle-screen,password,qr-code}.test.ts',
  'test/client/doctor/fronts.test.ts',
  'test/client/receive/{bundle-parts,password-asked,sealed-resume}.test.ts',
  'test/client/seal/other-programs.test.ts',
  'test/e2e/{browser,browser-poison,draft-page,forged-headers,old-clients,programs,proxies,ranges,restarts}.test.ts',
  'test/e2e/{hostile-memory,http2-floods,memory,no-loopback,renewed-certificate,sealed-memory}.test.ts',
  'test/e2e/resuming-{browsers,networks,programs}.test.ts',
  'test/web/{proxies,browsers/*}.test.ts',
  'test/faults/{processes,told-truly}.test.ts',
  'test/server/{leak,promoted,locator/redis-trouble}.test.ts',
]

/**
 * What browsers do with the page when their connection is cut, when their node stops or is killed, with files of any size, when a tab is
 * closed, and behind each proxy.
 */
const PAGES = [
  'test/web/browsers/moving-{all,receivers,truth}.test.ts',
  'test/web/browsers/{sending-cuts,receiving-cuts,receiving,fronts-whole,large,closed-tabs}.test.ts',
  'test/web/browsers/{both-cut,handed-over,looks,sending,sending-truth}.test.ts',
]

/** What takes minutes of a cluster: `test/e2e/{moving,balanced}.test.ts` have it small. */
const OF_CLUSTERS = ['test/e2e/{nodes,redis-away,rolling-restart}.test.ts']

/**
 * The slowest files, half a minute to three minutes each, in the order in which they begin. What begins last must be short,
 * or one worker runs on alone. First those that mostly wait: they are exact about time, and leave the processor to others.
 */
const SLOWEST = [
  ...[
    'faults/matrix',
    'e2e/resuming-networks',
    'e2e/moving',
    'client/receive/parts',
    'client/doctor/scripted',
    'client/first-tries',
  ],
  ...['e2e/shutdown', 'client/reservation', 'e2e/proxies', 'client/doctor/fronts', 'install', 'fuzz/fuzz'],
  ...['faults/chaos', 'web/browsers/receiving-keys', 'web/browsers/looks', 'web/browsers/sending-truth'],
  ...['web/browsers/sending', 'e2e/hostile-memory', 'e2e/memory'],
].map((name) => `/test/${name}.test.ts`)

/** Where a file has its place among the slowest; behind them for any other. */
function placeOf({ moduleId }: TestSpecification): number {
  const place = SLOWEST.findIndex((path) => moduleId.endsWith(path))
  return place < 0 ? SLOWEST.length : place
}

class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.sort((one, other) => placeOf(one) - placeOf(other))
  }
}

/**
 * What no Node changes: words, documents, options, pure functions, what is in a tar or a key, other programs, browsers and
 * the page. The oldest Node is enough for it.
 */
const NOT_ABOUT_NODE = [
  'test/{bundle,dependencies,deploying,docs,doors,embedding-types,image,install,links,man-pages}.test.ts',
  'test/{old-ess,operating,option-names,page-words,plain-words,readme,rooms,runs,server-options,terminals}.test.ts',
  'test/client/bundle/**/*.test.ts',
  'test/client/cli/{bundle-screen,commands,completion,encryption,hints,link,options}.test.ts',
  'test/client/cli/{password,qr-code,text,token,usage,without-keys}.test.ts',
  'test/client/doctor/*.test.ts',
  'test/client/{folders,hostile-names}.test.ts',
  'test/client/receive/{bundle-parts,late-count,password-asked,sealed-lies,sealed-resume}.test.ts',
  'test/client/seal/{keys,other-programs,passphrase,sealed-note,testkit}.test.ts',
  'test/e2e/{browser,browser-poison,curl-names,draft-page,file-names,first-minutes,forged-headers,moving}.test.ts',
  'test/e2e/{no-loopback,old-clients,programs,proxies,proxy-cuts,restarts,sealed-memory,shell}.test.ts',
  'test/e2e/resuming-{browsers,networks,programs}.test.ts',
  // Cuts at random: those of `told-truly` and of the matrix meet every Node.
  'test/faults/chaos.test.ts',
  'test/server/{mounts,request/access,cli/check,cli/config-file,cli/first-screen,cli/help,cli/token-files}.test.ts',
  'test/shared/*.test.ts',
  'test/web/**/*.test.ts',
]

/** What takes long, and was never seen to differ on another Node: it is on the oldest one alone. */
const LONG_ON_ANY_NODE = [
  'test/*.test.ts',
  'test/client/{first-tries,reservation,silent-server}.test.ts',
  'test/client/{cli/job-control,http/proxy,receive/parts,receive/place}.test.ts',
  'test/contract/{contract,refusals,routes,sealed}.test.ts',
  'test/e2e/{alone,balanced,hostile-memory,http2-floods,limits,malformed,memory,moving,ranges}.test.ts',
  'test/e2e/{receive,renewed-certificate,shutdown}.test.ts',
  'test/faults/{chaos,matrix,processes,races,reset-in-flight,tcp-proxy}.test.ts',
  'test/fuzz/*.test.ts',
  'test/server/{slow-heads,cli/run,locator/redis}.test.ts',
]

/** A few connections of the fuzzer find what is badly broken; `rest` says 20,000. */
const FEW_FUZZ_RUNS = { ESS_FUZZ_RUNS: process.env['ESS_FUZZ_RUNS'] ?? '1000' }

export default defineConfig(({ mode }) => {
  const run = RUNS.find((name) => name === mode)
  if (run === undefined) throw new Error(`Expected --mode to be one of ${RUNS.join(', ')}, got ${mode}`)

  /** What runs once, by whatever gear each transfer takes. */
  const once = {
    test: {
      include: ['test/**/*.test.ts'],
      exclude: [...ENDINGS, ...LONG, ...PAGES, ...OF_CLUSTERS],
      env: FEW_FUZZ_RUNS,
    },
    rest: { include: [...LONG, 'test/fuzz/*.test.ts'], exclude: PAGES },
    all: { include: ['test/**/*.test.ts'], exclude: [...ENDINGS, ...PAGES, ...OF_CLUSTERS] },
    node: {
      include: ['test/**/*.test.ts'],
      exclude: [...ENDINGS, ...NOT_ABOUT_NODE, ...LONG_ON_ANY_NODE, ...OF_CLUSTERS],
    },
    pages: { include: PAGES, exclude: [] },
    several: { include: ['test/e2e/workers.test.ts', ...OF_CLUSTERS], exclude: [] },
  }[run]

  /** What runs in one gear alone. */
  const inGear = (gear: string) => {
    const isUsual = gear === USUAL_GEAR
    return {
      test: { include: isUsual ? ENDINGS : [], exclude: [] },
      rest: { include: isUsual ? [MATRIX] : [...ENDINGS, MATRIX], exclude: [] },
      all: { include: [...ENDINGS, MATRIX], exclude: [] },
      node: { include: isUsual ? ENDINGS : [], exclude: [] },
      pages: { include: [], exclude: [] },
      several: { include: [], exclude: [] },
    }[run]
  }

  const byWorkers =
    run === 'several' ? BY_WORKERS : run === 'rest' || run === 'all' ? BY_WORKERS_EACH_TIME : []

  return {
    test: {
      // Real processes and real files: a hung wait fails by its own name long before this.
      testTimeout: 60_000,
      hookTimeout: 60_000,
      // What differs is told whole: of a run elsewhere, its log is all there is.
      chaiConfig: { truncateThreshold: 600 },
      // More than twice the cores of a small machine: half of what the tests do is to wait.
      maxWorkers: 5,
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
        ...(byWorkers.length > 0
          ? [
              {
                extends: true as const,
                test: { name: 'by two workers', include: byWorkers, env: { ESS_WORKERS: '2' } },
              },
            ]
          : []),
        ...(run === 'rest' || run === 'all'
          ? [
              {
                extends: true as const,
                test: {
                  name: 'behind haproxy, in part',
                  include: [MATRIX],
                  env: { ESS_NODES: '3', ESS_RELAY: USUAL_GEAR, ESS_FAULTS_EVERY: '8' },
                },
              },
            ]
          : []),
        ...(run === 'several'
          ? [
              {
                extends: true as const,
                test: {
                  name: 'at the wrong node',
                  include: BY_NODES,
                  env: { ESS_NODES: '2', ESS_RELAY: USUAL_GEAR },
                },
              },
              {
                extends: true as const,
                test: {
                  name: 'at the wrong node, in TLS',
                  include: BY_NODES,
                  env: { ESS_NODES: '2', ESS_NODES_TLS: 'true', ESS_RELAY: USUAL_GEAR },
                },
              },
              {
                extends: true as const,
                test: {
                  name: 'nodes in TLS',
                  include: BY_TLS,
                  env: { ESS_NODES_TLS: 'true' },
                },
              },
              ...GEARS.map((gear) => ({
                extends: true as const,
                test: {
                  name: `behind haproxy by ${gear}`,
                  include: [...BALANCED, ...BALANCED_PROGRAMS, MATRIX],
                  env: { ESS_NODES: '3', ESS_RELAY: gear },
                },
              })),
              {
                extends: true as const,
                test: { name: 'behind haproxy, with HTTP/2', include: [MATRIX], env: { ESS_NODES: '3' } },
              },
              {
                extends: true as const,
                test: {
                  name: 'behind haproxy by HTTP/2',
                  include: ['test/contract/endings.test.ts'],
                  // Of the hosts of the contract, this command is behind haproxy.
                  testNamePattern: /ess-server over HTTP/,
                  env: { ESS_NODES: '3' },
                },
              },
            ]
          : []),
      ],
    },
  }
})
