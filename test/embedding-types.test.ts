import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { fencedBlocks, readPage } from './helpers/markdown.js'
import { run } from './helpers/run.js'
import { tempDir } from './helpers/temp-dir.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const NODE_MODULES = join(ROOT, 'node_modules')

/** The folder in node_modules of each version of Node's types that an embedder may have. */
const TYPES = [
  ['20', '@types/node'],
  ['22', 'types-node-22'],
  ['24', 'types-node-24'],
] as const

/** A TypeScript project that embeds ESS with these types, as strict as TypeScript can be asked to be. */
async function embedder(types: string): Promise<string> {
  const folder = await tempDir()
  const modules = join(folder, 'node_modules')
  await mkdir(join(modules, '@types'), { recursive: true })
  const link = (from: string, to: string) => symlink(join(NODE_MODULES, from), join(modules, to))
  for (const name of await readdir(NODE_MODULES))
    if (name !== '@types' && !name.startsWith('.')) await link(name, name)
  for (const name of await readdir(join(NODE_MODULES, '@types')))
    if (name !== 'node') await link(`@types/${name}`, `@types/${name}`)
  await link(types, '@types/node')
  // Not the project's whole folder: its own node_modules would bring a second version of Node's types.
  const own = join(modules, 'ephemeral-socket-service')
  await mkdir(own)
  for (const name of ['dist', 'package.json']) await symlink(join(ROOT, name), join(own, name))
  const compilerOptions = {
    target: 'es2023',
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noImplicitOverride: true,
    noFallthroughCasesInSwitch: true,
    verbatimModuleSyntax: true,
    types: ['node'],
    preserveSymlinks: true,
    noEmit: true,
    skipLibCheck: true,
  }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  return folder
}

const EXPRESS = `import express from 'express'
declare const app: express.Express`
const SERVICE = `import { createService } from 'ephemeral-socket-service'
declare const service: ReturnType<typeof createService>`
const asOption = (block: string) =>
  `import { createService } from 'ephemeral-socket-service'
declare const apiKey: string
createService({ ${block} })`

/** What stands around the block that begins like this, in a reader's own program. */
const AROUND: Readonly<Record<string, (block: string) => string>> = {
  'import { attach }': (block) =>
    `${EXPRESS}\ndeclare const metrics: { add(name: string, value: number): void }\n${block}`,
  'renderStatus:': asOption,
  'authorize:': asOption,
  'onError:': asOption,
  'app.route(': (block) =>
    `import { serve } from '@hono/node-server'\nimport { Hono } from 'hono'\n${SERVICE}\nconst app = new Hono()\n${block}`,
  'app.use(': (block) => `${EXPRESS}\n${SERVICE}\n${block}`,
  'const server = createServer(': (block) => `import { createServer } from 'node:http'\n${SERVICE}\n${block}`,
  'import { send }': (block) => block,
  'import { createWriteStream }': (block) => `declare const url: string\n${block}`,
}

test.each(TYPES)(
  'every block of docs/embedding.md compiles under the types of Node %s',
  async (_major, types) => {
    const folder = await embedder(types)
    const blocks = fencedBlocks(await readPage('docs/embedding.md'))
    expect(blocks.length).toBeGreaterThanOrEqual(Object.keys(AROUND).length)
    for (const { text, line } of blocks) {
      const [, around] = Object.entries(AROUND).find(([beginning]) => text.startsWith(beginning)) ?? []
      expect(around, `the block in line ${line}`).toBeDefined()
      await writeFile(join(folder, `line-${line}.ts`), `${around?.(text)}\nexport {}\n`)
    }
    const tsc = join(NODE_MODULES, 'typescript', 'bin', 'tsc')
    const program = await run('tsc', process.execPath, [tsc, '--project', folder], { cwd: folder })
    const { code, stdout } = await program.ended()
    expect(stdout.toString()).toBe('')
    expect(code).toBe(0)
  },
)
