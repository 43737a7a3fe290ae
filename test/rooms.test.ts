import { cp, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { run } from './helpers/run.js'
import { tempDir } from './helpers/temp-dir.js'

/**
 * The rooms of each side, from the top down. A room imports only rooms below it; those in one row don't import one
 * another. `x.ts` is a file at the top of its side, all others are folders.
 */
const FLOORS = {
  server: [
    ['main.ts'],
    ['cli'],
    ['workers'],
    ['index.ts'],
    ['listen'],
    ['embed.ts'],
    ['ops', 'routes'],
    ['broker'],
    ['limits'],
    ['http2', 'request', 'nodes'],
    ['relay', 'answer', 'locator'],
    ['node'],
  ],
  client: [
    ['main.ts'],
    ['cli'],
    ['index.ts'],
    ['send', 'receive', 'doctor'],
    ['bundle', 'seal'],
    ['ends', 'files'],
    ['http'],
    ['node'],
  ],
  web: [['send', 'receive'], ['seal', 'ui'], ['http'], ['facts.ts']],
} as const
type Side = keyof typeof FLOORS
// `Object.keys` forgets what the keys are.
const SIDES = Object.keys(FLOORS) as Side[]

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const BIOME = join(ROOT, 'node_modules/@biomejs/biome/bin/biome')

/** One import in a file that breaks the rules, or keeps to them. */
interface Probe {
  /** The file that it is in. */
  readonly file: string
  readonly line: number
  readonly specifier: string
  readonly isForbidden: boolean
}

/** What each room may import, and what not, in a file of its own; for a folder also in a folder within it. */
function probesOf(side: Side): Probe[] {
  const others = SIDES.filter((one) => one !== side)
  const floors: readonly (readonly string[])[] = FLOORS[side]
  return floors.flatMap((floor, at) =>
    floor.flatMap((room) => {
      const isFile = room.endsWith('.ts')
      const places = isFile
        ? [{ file: `${side}/${room}`, up: './' }]
        : [
            { file: `${side}/${room}/probe.ts`, up: '../' },
            { file: `${side}/${room}/within/probe.ts`, up: '../../' },
          ]
      const imports = floors.flatMap((names, height) =>
        names
          .filter((name) => name !== room)
          .map((name) => ({
            path: name.endsWith('.ts') ? name.replace(/ts$/, 'js') : `${name}/probe.js`,
            isForbidden: height <= at,
          })),
      )
      return places.flatMap(({ file, up }) => {
        const outside = up === './' ? '../' : `${up}../`
        return [
          ...imports.map(({ path, isForbidden }) => ({ specifier: `${up}${path}`, isForbidden })),
          ...others.flatMap((other) => [
            { specifier: `${outside}${other}/index.js`, isForbidden: true },
            { specifier: `${outside}${other}/http/probe.js`, isForbidden: true },
          ]),
          { specifier: `${outside}shared/index.js`, isForbidden: false },
          // What runs in a browser has none of Node.
          { specifier: 'node:fs', isForbidden: side === 'web' },
          { specifier: '@hono/node-server/utils/response', isForbidden: false },
        ].map((probe, line) => ({ file, line: line + 1, ...probe }))
      })
    }),
  )
}

const OTHER_PROBES: readonly Probe[] = [
  { file: 'shared/probe.ts', line: 1, specifier: '../server/node/probe.js', isForbidden: true },
  { file: 'shared/probe.ts', line: 2, specifier: 'node:fs', isForbidden: true },
  { file: 'shared/probe.ts', line: 3, specifier: 'leven', isForbidden: true },
  { file: 'shared/probe.ts', line: 4, specifier: './id.js', isForbidden: false },
  { file: 'examples/probe.mjs', line: 1, specifier: '../server/index.js', isForbidden: true },
  { file: 'examples/probe.mjs', line: 2, specifier: '../dist/server/index.js', isForbidden: true },
  { file: 'examples/probe.mjs', line: 3, specifier: 'ephemeral-socket-service', isForbidden: false },
]

/** `FILE:LINE` of what biome refuses by a rule, in a copy of the tree with the probes in it. */
async function lint(probes: readonly Probe[], more: Readonly<Record<string, string>>, rule: string) {
  const folder = await tempDir()
  for (const name of ['server', 'client', 'web', 'shared', 'examples', 'biome.json', '.gitignore'])
    await cp(join(ROOT, name), join(folder, name), { recursive: true })
  const texts = new Map(Object.entries(more))
  for (const { file, specifier } of probes)
    texts.set(file, `${texts.get(file) ?? ''}import ${JSON.stringify(specifier)}\n`)
  for (const [file, text] of texts) {
    await mkdir(join(folder, file, '..'), { recursive: true })
    await writeFile(join(folder, file), text)
  }
  const args = [BIOME, 'lint', '--reporter=github', '--max-diagnostics=none', ...texts.keys()]
  const { stdout, stderr } = await (await run('biome', process.execPath, args, { cwd: folder })).ended()
  const refused = [...stdout.toString().matchAll(/^::error title=(\S+?),file=(\S+?),line=(\d+)/gm)]
  expect(stderr).not.toMatch(/configuration/i)
  return refused.flatMap(([, title, file = '', line]) =>
    title === `lint/${rule}`
      ? [`${file.replace(/^.*\/(?=(?:server|client|web|shared|examples)\/)/, '')}:${line}`]
      : [],
  )
}

describe.each(SIDES)('%s/', (side) => {
  test('has no file or folder at its top without a place in the order', async () => {
    const entries = (await readdir(join(ROOT, side))).filter((name) => !/^tsconfig\.json$|\.css$/.test(name))
    const placed: readonly string[] = FLOORS[side].flat()
    expect(entries.filter((name) => !placed.includes(name))).toEqual([])
  })

  test('no room may import one above it or beside it, nor another side; each may import those below', async () => {
    const probes = probesOf(side)
    const forbidden = probes
      .filter(({ isForbidden }) => isForbidden)
      .map(({ file, line }) => `${file}:${line}`)
    expect(forbidden.length).toBeGreaterThan(40)
    expect((await lint(probes, {}, 'style/noRestrictedImports')).sort()).toEqual(forbidden.sort())
  })
})

test('shared/ may import nothing but itself, and an example only the package', async () => {
  const forbidden = OTHER_PROBES.filter(({ isForbidden }) => isForbidden)
  expect((await lint(OTHER_PROBES, {}, 'style/noRestrictedImports')).sort()).toEqual(
    forbidden.map(({ file, line }) => `${file}:${line}`).sort(),
  )
})

test('two files may not import one another', async () => {
  const circle = {
    'server/node/egg.ts': "import { hen } from './hen.js'\nexport const egg = () => hen\n",
    'server/node/hen.ts': "import { egg } from './egg.js'\nexport const hen = () => egg\n",
  }
  expect(await lint([], circle, 'suspicious/noImportCycles')).toEqual([
    'server/node/egg.ts:1',
    'server/node/hen.ts:1',
  ])
})
