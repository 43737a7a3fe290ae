// What a bundle by esbuild contains besides our own code, and under which licences.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The text of a file LICENSES for a bundle, from esbuild's metafile of it. `what` names the bundle. */
export async function licencesOf(metafile, what) {
  const texts = await Promise.all(
    packagesIn(metafile).map(async (folder) => {
      const { name, version, license } = JSON.parse(
        await readFile(join(ROOT, folder, 'package.json'), 'utf8'),
      )
      return `${name} ${version} (${license})\n\n${await licenceIn(folder)}\n`
    }),
  )
  const head = `These packages are in ${what}, besides our own code, whose license is in LICENSE.\n`
  return [head, ...texts].join(`\n${'-'.repeat(80)}\n\n`)
}

/** The folders of the packages that are in the bundle, in the order of their names. */
function packagesIn({ outputs }) {
  const inputs = Object.values(outputs).flatMap(({ inputs }) => Object.keys(inputs))
  const folders = inputs.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? [])
  return [...new Set(folders)].sort()
}

async function licenceIn(folder) {
  const names = await readdir(join(ROOT, folder))
  const name = names.find((one) => /^licen[cs]e(?:[.-]|$)/i.test(one))
  if (name === undefined) throw new Error(`Expected a license in ${folder}, got none`)
  return (await readFile(join(ROOT, folder, name), 'utf8')).trim()
}
