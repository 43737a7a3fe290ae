// Usage: web-assets.mjs [FOLDER]
// Bundles the pages' scripts and style into FOLDER (default: dist/web), for browsers: entries with hashed names, which
// a browser may keep for ever; chunks that an entry loads when it needs them; the licences
// of the packages in them; each with its .gz and .br beside it; and manifest.json, by which the server finds them. The
// same input gives the same bytes.
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import { build } from 'esbuild'
import { licencesOf } from './licences.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const [folder = join(ROOT, 'dist/web')] = process.argv.slice(2).map((path) => resolve(path))

/** Each page has one script; both have one style. */
const ENTRIES = { send: 'web/send/main.ts', receive: 'web/receive/main.ts', style: 'web/style.css' }

/** shared/ is plain data and pure functions, so what an entry doesn't use need not come with it. */
const pureShared = {
  name: 'pure shared/',
  setup(build) {
    const isSeen = {}
    build.onResolve({ filter: /\/shared\/|^\.\// }, async ({ path, pluginData, ...from }) => {
      if (pluginData === isSeen) return undefined
      const found = await build.resolve(path, { ...from, pluginData: isSeen })
      return found.path.startsWith(join(ROOT, 'shared')) ? { ...found, sideEffects: false } : found
    })
  },
}

const COMMON = {
  absWorkingDir: ROOT,
  bundle: true,
  minify: true,
  platform: 'browser',
  // Those that have streams, modules and top-level await: since 2021.
  target: ['chrome90', 'firefox90', 'safari15'],
  legalComments: 'none',
  metafile: true,
  write: false,
  logLevel: 'warning',
  plugins: [pureShared],
  outdir: folder,
}

const pages = await build({
  ...COMMON,
  entryPoints: ENTRIES,
  format: 'esm',
  splitting: true,
  entryNames: '[name]-[hash]',
  chunkNames: 'part-[hash]',
})

const { outputs } = pages.metafile
const bundled = [...pages.outputFiles]
// Their licences ask for it wherever the packages go, so browsers get it too.
const licences = await licencesOf({ outputs }, "The pages' script")
bundled.push({ path: 'LICENSES.txt', contents: Buffer.from(licences) })
const files = await Promise.all(
  bundled.map(async ({ path, contents }) => {
    const [gz, br] = await Promise.all([zipped(contents), brotli(contents)])
    return { name: basename(path), contents, gz, br }
  }),
)
const manifest = {
  entries: Object.fromEntries(Object.entries(ENTRIES).map(([name, source]) => [name, entryOf(source)])),
  // By name, so that the server opens nothing else. The sizes are those that go over the line.
  files: Object.fromEntries(
    files
      .map(({ name, contents, gz, br }) => [
        name,
        {
          bytes: contents.length,
          gzip: gz.length,
          brotli: br.length,
          isHashed: /-[A-Z0-9]{8}\.\w+$/.test(name),
        },
      ])
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  ),
}

await mkdir(folder, { recursive: true })
for (const { name, contents, gz, br } of files) {
  await write(name, contents)
  await write(`${name}.gz`, gz)
  await write(`${name}.br`, br)
}
// Last, so that what it names is there.
await write('manifest.json', `${JSON.stringify(manifest, undefined, 2)}\n`)
await removeOthers()

/** The file of an entry, and what a browser has to load before it runs: the chunks that it imports at once. */
function entryOf(source) {
  const found = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint === source)
  if (found === undefined) throw new Error(`Expected an output of ${source}, got none`)
  const [path] = found
  return { file: basename(path), needs: [...neededBy(path)].map((one) => basename(one)).sort() }
}

function neededBy(path, needed = new Set()) {
  for (const { path: other, kind } of outputs[path].imports) {
    if (kind !== 'import-statement' || needed.has(other)) continue
    needed.add(other)
    neededBy(other, needed)
  }
  return needed
}

function zipped(contents) {
  return promisify(gzip)(contents, { level: constants.Z_BEST_COMPRESSION })
}

function brotli(contents) {
  const params = {
    [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
    [constants.BROTLI_PARAM_SIZE_HINT]: contents.length,
  }
  return promisify(brotliCompress)(contents, { params })
}

/** A test or a server may be reading the old file. */
async function write(name, content) {
  const part = join(folder, `.${process.pid}.part`)
  await writeFile(part, content)
  await rename(part, join(folder, name))
}

/** What earlier builds have left. */
async function removeOthers() {
  const kept = new Set(['manifest.json'])
  for (const { name } of files) for (const end of ['', '.gz', '.br']) kept.add(name + end)
  for (const name of await readdir(folder)) if (!kept.has(name)) await rm(join(folder, name), { force: true })
}
