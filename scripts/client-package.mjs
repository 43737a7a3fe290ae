// Usage: client-package.mjs [FOLDER]
// Makes the client's own package of what tsc has built: a program without dependencies, which `ess-server` serves at
// /ess.tgz, and which is the `ess` of the whole package too, because it starts sooner. Into FOLDER (default: dist) go
// ess/ with the files of the package, and ess.tgz; and the head of a file that the server adds. The same input gives the same bytes, on the same Node.
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build, transform } from 'esbuild'
import { packTar } from 'modern-tar'
import { licencesOf } from './licences.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** The time that npm gives to all files of a package. */
const MTIME = new Date('1985-10-26T08:15:00.000Z')
const PROGRAM = 'ess.cjs'
const MAIN = 'ess'
/** The oldest Node that we run on. */
const TARGET = 'node20.19'
/** The folder of what the program loads when it needs it. */
const PARTS = 'parts'
/** To open a file takes as long as to read so much of one. */
const MIN_PART_BYTES = 16 * 1024

const [folder = join(ROOT, 'dist')] = process.argv.slice(2).map((path) => resolve(path))
const own = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
const { program, parts, metafile } = await bundle()
const files = [
  { name: 'package.json', text: `${JSON.stringify(manifest(own), undefined, 2)}\n` },
  { name: PROGRAM, text: program, mode: 0o755 },
  ...parts,
  { name: 'LICENSE', text: await readFile(join(ROOT, 'LICENSE'), 'utf8') },
  { name: 'LICENSES', text: await licencesOf(metafile, `${PROGRAM} and ${PARTS}/`) },
]
await mkdir(join(folder, 'ess', PARTS), { recursive: true })
for (const { name, text, mode } of files) await write(join(folder, 'ess', name), text, mode)
const current = new Set(parts.map(({ name }) => name))
for (const name of await readdir(join(folder, 'ess', PARTS)))
  if (!current.has(`${PARTS}/${name}`)) await rm(join(folder, 'ess', PARTS, name))
await write(join(folder, 'ess.tgz'), gzipSync(await archive(files), { level: 9 }))
// The server writes its own address into server.json, of one block, at the beginning of what it serves.
const server = await archive([{ name: 'server.json', text: ' '.repeat(512) }])
await write(join(folder, 'ess', 'server.json.header'), server.subarray(0, 512))

/**
 * The program, and parts of it that only some commands need: to read all of it takes longer than all else that
 * `ess --version` does. esbuild splits modules alone, so each piece becomes CommonJS afterwards, which Node starts sooner.
 * What `ess send` needs until it has a link is in the program itself, because each file costs time too.
 * Not minified: it is text that can be read before it is run, a stack trace has its names, and small names save no
 * measurable time.
 */
async function bundle() {
  const { outputFiles, metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: { [MAIN]: 'dist/client/main.js' },
    bundle: true,
    splitting: true,
    platform: 'node',
    target: TARGET,
    format: 'esm',
    define: { 'import.meta.url': 'importMetaUrl' },
    outdir: '.',
    chunkNames: '[name]-[hash]',
    legalComments: 'inline',
    metafile: true,
    write: false,
    logLevel: 'warning',
  })
  const pieces = await Promise.all(
    outputFiles.map(async ({ path, text }) => ({ name: basename(path, '.js'), code: await commonJs(text) })),
  )
  const inProgram = forProgram(metafile)
  const isInProgram = ({ name }) => inProgram.has(name)
  return {
    program: programOf(pieces.filter(isInProgram)),
    parts: pieces.filter((piece) => !isInProgram(piece)).map(partOf),
    metafile,
  }
}

/** The names of the pieces for the program: what `ess send` loads at its start, and what of `ess get` is not worth a file. */
function forProgram({ outputs }) {
  const small = neededBy(/\/cli-get\.js$/, outputs).filter((path) => outputs[path].bytes < MIN_PART_BYTES)
  const paths = [...neededBy(/\/main\.js$/, outputs), ...neededBy(/\/cli-send\.js$/, outputs), ...small]
  return new Set(paths.map((path) => basename(path, '.js')))
}

/** The paths of the pieces that a module is in, and of those that they load with it. */
function neededBy(module, outputs) {
  const [start] = Object.keys(outputs).filter((path) => module.test(outputs[path].entryPoint))
  if (start === undefined) throw new Error(`Expected a piece of ${module}`)
  const found = new Set()
  const ahead = [start]
  for (let path = ahead.pop(); path !== undefined; path = ahead.pop()) {
    if (found.has(path)) continue
    found.add(path)
    const own = outputs[path].imports.filter(({ kind, external }) => kind === 'import-statement' && !external)
    ahead.push(...own.map((one) => one.path))
  }
  return [...found]
}

/** A piece as the body of a function: what it takes of other pieces, it asks `part` for. */
async function commonJs(text) {
  // A comment that names the file of what follows would be dropped, unless it looked like a license.
  const { code } = await transform(text.replace(/^\/\/ (?=(?:dist|node_modules)\/)/gm, '//! '), {
    format: 'cjs',
    platform: 'node',
    target: TARGET,
    // Node's own import() would start its loader of modules, for 15 ms.
    supported: { 'dynamic-import': false },
    legalComments: 'inline',
    logLevel: 'warning',
  })
  return code
    .replace(/^#!.*\n/, '')
    .replace(/^\/\/! (?=(?:dist|node_modules)\/)/gm, '// ')
    .replace(/\brequire\("\.\/([\w-]+)\.js"\)/g, 'part("$1")')
}

/** The file of the program. */
function programOf(pieces) {
  const functions = pieces.map(({ name, code }) => `"${name}"(module, exports, part) {\n${code}},\n`)
  return `#!/usr/bin/env node
${urlIn('')}const pieces = {
${functions.join('')}};
const loaded = {};
function part(name) {
  if (loaded[name] !== undefined) return loaded[name].exports;
  const module = loaded[name] = { exports: {} };
  const run = pieces[name] ?? require(\`./${PARTS}/\${name}.cjs\`);
  run(module, module.exports, part);
  return module.exports;
}
part("${MAIN}");
`
}

/** The file of a piece that is not in the program. */
function partOf({ name, code }) {
  const url = code.includes('importMetaUrl') ? urlIn('/..') : ''
  return {
    name: `${PARTS}/${name}.cjs`,
    text: `${url}module.exports = (module, exports, part) => {\n${code}};\n`,
  }
}

/**
 * As if the modules lay in a node_modules beside the program: yargs looks for one above itself, and without one asks for the
 * current folder, which may be gone.
 */
function urlIn(up) {
  return `const importMetaUrl = require('node:url').pathToFileURL(__dirname + '${up}/node_modules/${PROGRAM}').href;\n`
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
