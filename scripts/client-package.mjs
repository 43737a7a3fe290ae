// Usage: client-package.mjs [FOLDER]
// Makes the client's own package of what tsc has built: a program without dependencies, which `ess-server` serves at
// /ess.tgz, and which is the `ess` of the whole package too, because it starts sooner. Into FOLDER (default: dist) go
// ess/ with the files of the package, and ess.tgz; and the head of a file that the server adds. The same input gives the same bytes, on the same Node.
import { chmod, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { packTar } from 'modern-tar'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** The time that npm gives to all files of a package. */
const MTIME = new Date('1985-10-26T08:15:00.000Z')
const PROGRAM = 'ess.cjs'
/** A quarter of all code, for sealed transfers alone: in the program, it would be read at every start. */
const AGE = { library: 'age-encryption', file: 'age.cjs' }

const [folder = join(ROOT, 'dist')] = process.argv.slice(2).map((path) => resolve(path))
const own = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
const program = await bundle({
  entryPoints: ['dist/client/main.js'],
  outfile: PROGRAM,
  // As if the modules lay in a node_modules beside the program: yargs looks for one above itself, and without one asks
  // for the current folder, which may be gone.
  banner: {
    js: "const importMetaUrl = require('node:url').pathToFileURL(__dirname + '/node_modules/ess.cjs').href",
  },
  plugins: [ageBeside()],
})
const age = await bundle({
  stdin: { contents: `export * from '${AGE.library}'`, resolveDir: ROOT },
  outfile: AGE.file,
})
const packages = [...new Set([...program.packages, ...age.packages])].sort()
const files = [
  { name: 'package.json', text: `${JSON.stringify(manifest(own), undefined, 2)}\n` },
  { name: PROGRAM, text: program.text, mode: 0o755 },
  { name: AGE.file, text: age.text },
  { name: 'LICENSE', text: await readFile(join(ROOT, 'LICENSE'), 'utf8') },
  { name: 'LICENSES', text: await licences(packages) },
]
await mkdir(join(folder, 'ess'), { recursive: true })
for (const { name, text, mode } of files) await write(join(folder, 'ess', name), text, mode)
await write(join(folder, 'ess.tgz'), gzipSync(await archive(files), { level: 9 }))
// The server writes its own address into server.json, of one block, at the beginning of what it serves.
const server = await archive([{ name: 'server.json', text: ' '.repeat(512) }])
await write(join(folder, 'ess', 'server.json.header'), server.subarray(0, 512))

/**
 * CommonJS, because Node starts that sooner than a module. Not minified: it is text that can be read before it is run,
 * a stack trace has its names, and small names save no measurable time.
 */
async function bundle(options) {
  const { outputFiles, metafile } = await build({
    absWorkingDir: ROOT,
    bundle: true,
    platform: 'node',
    target: 'node20.19',
    format: 'cjs',
    define: { 'import.meta.url': 'importMetaUrl' },
    legalComments: 'inline',
    metafile: true,
    write: false,
    logLevel: 'warning',
    ...options,
  })
  return { text: outputFiles[0].text, packages: packagesIn(metafile) }
}

/** Has the program load age's library from its own file, when it is wanted. */
function ageBeside() {
  return {
    name: 'age-beside',
    setup({ onResolve }) {
      onResolve({ filter: new RegExp(`^${AGE.library}$`) }, () => ({ path: `./${AGE.file}`, external: true }))
    },
  }
}

/** The folders of the packages that are in the bundle. */
function packagesIn({ outputs }) {
  const inputs = Object.values(outputs).flatMap(({ inputs }) => Object.keys(inputs))
  const folders = inputs.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? [])
  return folders
}

/** Private, so that it is published by nobody's mistake. Its name is not that of the whole package, which has a server. */
function manifest({ name, version, description, license, engines }) {
  return {
    name: `${name}-client`,
    version,
    private: true,
    description,
    license,
    engines,
    bin: { ess: PROGRAM },
  }
}

async function licences(folders) {
  const texts = await Promise.all(
    folders.map(async (folder) => {
      const { name, version, license } = JSON.parse(
        await readFile(join(ROOT, folder, 'package.json'), 'utf8'),
      )
      return `${name} ${version} (${license})\n\n${await licenceIn(folder)}\n`
    }),
  )
  const head = `${PROGRAM} and ${AGE.file} contain these packages, besides ${PROGRAM}'s own code, whose license is in LICENSE.\n`
  return [head, ...texts].join(`\n${'-'.repeat(80)}\n\n`)
}

async function licenceIn(folder) {
  const names = await readdir(join(ROOT, folder))
  const name = names.find((one) => /^licen[cs]e(?:[.-]|$)/i.test(one))
  if (name === undefined) throw new Error(`Expected a license in ${folder}, got none`)
  return (await readFile(join(ROOT, folder, name), 'utf8')).trim()
}

/** As `npm pack` does it: every file in the folder `package`, of nobody, and without a time of its own. */
async function archive(files) {
  return await packTar(
    files.map(({ name, text, mode = 0o644 }) => {
      const body = Buffer.from(text)
      return {
        header: {
          name: `package/${name}`,
          size: body.length,
          mode,
          mtime: MTIME,
          uid: 0,
          gid: 0,
          type: 'file',
        },
        body,
      }
    }),
  )
}

/** A test or a server may be reading the old file. */
async function write(path, content, mode = 0o644) {
  const part = join(dirname(path), `.${process.pid}.part`)
  await writeFile(part, content)
  await chmod(part, mode)
  await rename(part, path)
}
