// Where a relay's CPU goes while it moves one large body of known length, beside where the floor's goes: what the
// floor has too is the kernel's, the rest is ours. Needs `perf`.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { withSubject } from './carry.js'
import { hasEnded, keep } from './child.js'
import { type Bench, GIB } from './scenario.js'
import { ROOT, setUp } from './set-up.js'
import { TICKS_PER_SECOND } from './subject-process.js'
import type { Subject } from './subjects.js'
import { printRows } from './table.js'

const { values: flags } = parseArgs({
  options: {
    subject: { type: 'string', multiple: true, default: ['ess-splice', 'c-splice'] },
    gib: { type: 'string', default: '16' },
    'ess-dist': { type: 'string', default: join(ROOT, 'dist') },
  },
})

/** The first whose pattern a symbol matches is its kind. What is not the kernel's is told by where it is from. */
const KERNEL_KINDS: readonly (readonly [string, RegExp])[] = [
  ['kernel: copying bytes', /copy_(?:to|from|user|page)|_copy_|memcpy|memmove|rep_movs|clear_page/],
  ['kernel: moving pages, pipe', /splice|pipe|folio|get_page|put_page|free_frozen|page_?frag|extract_pages/],
  ['kernel: memory', /fault|anon|vma|mmap|unmap|lru|zap_|charge|alloc|slab|kmem|free|rmqueue|page/],
  [
    'kernel: TCP, loopback',
    /tcp|skb|sock|inet|ip_|ipv4|dev_|netif|loopback|napi|net_|softirq|qdisc|backlog|^nf_/,
  ],
  [
    'kernel: wake-ups, locks, timers',
    /sched|wake|futex|poll|^ep_|spin|mutex|lock|switch|timer|enqueue|dequeue|task|msr/,
  ],
  ['kernel: entry and exit', /syscall|entry|exit_to|fdget|fput|fget|sysvec/],
]

/** CPU milliseconds for each GiB, by kind and by symbol. */
interface Profile {
  readonly total: number
  readonly kinds: ReadonlyMap<string, number>
  readonly symbols: ReadonlyMap<string, number>
  readonly threads: readonly string[]
}

const { bench, subjects } = setUp({ essDist: resolve(flags['ess-dist']), isQuick: false })
const profiles = new Map<string, Profile>()
for (const name of flags.subject) {
  const subject = subjects.get(name)
  if (subject === undefined) throw new Error(`Expected a subject, got ${name}`)
  profiles.set(name, await profile(bench, subject, Number(flags.gib)))
}
printProfiles()

async function profile(bench: Bench, subject: Subject, gib: number): Promise<Profile> {
  const file = join(bench.scratch, `${subject.name}.perf`)
  return withSubject(bench, subject, undefined, async ({ pid, cpuSeconds }, carry) => {
    await carry({ bytes: GIB })
    // Of its own choice, perf takes the processor's counters, and the clock where there are none.
    const recorder = keep(
      spawn('perf', ['record', '-q', '-F', '999', '-o', file, '-p', `${pid}`], {
        stdio: 'ignore',
      }),
    )
    await untilItRecords(recorder, file)
    const before = cpuSeconds()
    await carry({ bytes: gib * GIB })
    const total = ((cpuSeconds() - before) / gib) * 1000
    const threads = describeThreads(pid)
    // perf writes what it has when it is interrupted.
    if (hasEnded(recorder)) throw new Error('Expected perf to record to the end')
    recorder.kill('SIGINT')
    await once(recorder, 'close')
    return { total, threads, ...readReport(file, total) }
  })
}

async function untilItRecords(recorder: ChildProcess, file: string): Promise<void> {
  const failed = once(recorder, 'error').then(([error]) => {
    throw error
  })
  // Raced below; an error after that is seen where its file is read.
  failed.catch(() => undefined)
  const deadline = performance.now() + 10_000
  while (!existsSync(file)) {
    if (hasEnded(recorder) || performance.now() > deadline) throw new Error('Expected perf to record')
    await Promise.race([sleep(50), failed])
  }
  // The file is there a moment before the counters run.
  await sleep(500)
}

/** What each thread took so far, in user and in system. */
function describeThreads(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const milliseconds = (ticks: string | undefined) => (Number(ticks) * 1000) / TICKS_PER_SECOND
    const [user, system] = [milliseconds(fields[11]), milliseconds(fields[12])]
    return user + system === 0 ? [] : [`${name}: ${user} ms user, ${system} ms system`]
  })
}

function readReport(file: string, total: number): Pick<Profile, 'kinds' | 'symbols'> {
  const report = execFileSync(
    'perf',
    ['report', '-i', file, '--stdio', '--no-children', '-F', 'overhead,dso,sym', '-t', ';'],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 2 ** 26 },
  )
  const kinds = new Map<string, number>()
  const symbols = new Map<string, number>()
  for (const line of report.split('\n')) {
    const [share = '', origin = '', symbol = ''] = line.split(';').map((cell) => cell.trim())
    if (!share.endsWith('%')) continue
    const spent = (Number.parseFloat(share) / 100) * total
    const name = symbol.replace(/^\[.\]\s*/, '')
    add(kinds, kindOf(origin, name), spent)
    add(symbols, name, spent)
  }
  return { kinds, symbols }
}

function kindOf(origin: string, symbol: string): string {
  if (!origin.includes('kernel')) {
    if (origin.startsWith('node') || origin.includes('perf-') || origin.includes('JIT'))
      return 'user: Node, V8'
    return origin.endsWith('.node') ? 'user: the addon' : 'user: libraries and the rest'
  }
  return KERNEL_KINDS.find(([, pattern]) => pattern.test(symbol))?.[0] ?? 'kernel: other'
}

function add(sums: Map<string, number>, key: string, value: number): void {
  sums.set(key, (sums.get(key) ?? 0) + value)
}

function printProfiles(): void {
  const names = [...profiles.keys()]
  const row = (title: string, of: (profile: Profile) => number | undefined) => [
    title,
    ...[...profiles.values()].map((profile) => (of(profile) ?? 0).toFixed(1)),
  ]
  const kinds = new Set([...profiles.values()].flatMap((profile) => [...profile.kinds.keys()]))
  console.log('CPU ms for each GiB')
  printRows([
    ['', ...names],
    ...[...kinds].sort().map((kind) => row(kind, (profile) => profile.kinds.get(kind))),
    row('all', (profile) => profile.total),
  ])
  for (const [name, { symbols, threads }] of profiles) {
    const most = [...symbols].sort(([, a], [, b]) => b - a).slice(0, 20)
    console.log(`\n${name}: the twenty that took most; its threads`)
    printRows(most.map(([symbol, spent]) => [symbol, spent.toFixed(1)]))
    for (const thread of threads) console.log(`  ${thread}`)
  }
}
