import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { code, readPage, tableOf } from './helpers/markdown.js'

interface Package {
  readonly dev?: boolean
  readonly hasInstallScript?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** What the lock file says of the project, and of every package that a user of it installs. */
async function locked() {
  const { packages } = JSON.parse(await readPage('package-lock.json')) as {
    packages: Readonly<Record<string, Package>>
  }
  const { '': own = {}, ...others } = packages
  return { own, installed: Object.entries(others).filter(([, { dev }]) => dev !== true) }
}

test('no package that comes with ours has an install script', async () => {
  const { installed } = await locked()
  expect(installed.length).toBeGreaterThan(10)
  expect(installed.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path)).toEqual([])
})

/** The files of a side that import each package, by the package's name. */
async function importersOf(side: 'server' | 'client'): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const importers = new Map<string, Set<string>>()
  const folder = fileURLToPath(new URL(`../${side}`, import.meta.url))
  for (const name of await readdir(folder, { recursive: true })) {
    if (!name.endsWith('.ts')) continue
    // A package begins with a letter or an @; a scoped one has two parts. Of koffi's, the last part is the platform's.
    const text = await readPage(`${side}/${name}`)
    for (const [, found = ''] of text.matchAll(/(?:from|import\(|= ) ?['`]((?:@[\w.-]+\/)?[a-z][\w.-]*)/g)) {
      const importer = importers.get(found) ?? new Set()
      importers.set(found, importer.add(name))
    }
  }
  return importers
}

test.each(['server', 'client'] as const)('each dependency of %s/ has one importing file', async (side) => {
  const { own } = await locked()
  const importers = await importersOf(side)
  const { rows } = tableOf(await readPage('docs/dependencies.md'), 'package')
  const sideOf = new Map(rows.map(([name = '', of]) => [code(name), of]))
  for (const name of Object.keys(own.dependencies ?? {})) {
    const files = [...(importers.get(name) ?? [])]
    const isOfSide = ['both', side].includes(sideOf.get(name) ?? '')
    expect(files, `${name} is imported by ${files.join(' and ')}`).toHaveLength(isOfSide ? 1 : 0)
  }
  expect([...(importers.get('@koromix/koffi-linux-') ?? [])]).toHaveLength(side === 'server' ? 1 : 0)
})

describe('docs/dependencies.md', () => {
  test('gives a reason for every direct dependency, and for nothing else', async () => {
    const { dependencies = {}, optionalDependencies = {} } = (await locked()).own
    const { rows } = tableOf(await readPage('docs/dependencies.md'), 'package')
    const names = [dependencies, optionalDependencies].flatMap((those) => Object.keys(those).sort())
    expect(rows.map(([name = '']) => code(name))).toEqual(names)
    for (const [name, of, reason] of rows) {
      expect(['server', 'client', 'both'], name).toContain(of)
      expect(reason, name).not.toBe('')
    }
  })

  test('names every package that comes with the page', async () => {
    const licences = await readPage('dist/web/LICENSES.txt')
    const packages = [...licences.matchAll(/^((?:@[\w.-]+\/)?[\w.-]+) \d+\.\d+\.\d+ \(/gm)].map(
      ([, name]) => name,
    )
    const { rows } = tableOf(await readPage('docs/dependencies.md'), 'in the page')
    const named = rows.flatMap(([names = '']) => names.split(', ').map(code))
    expect(packages.length).toBeGreaterThan(0)
    expect(named).toEqual(expect.arrayContaining(packages))
  })

  test('counts them all', async () => {
    const { own, installed } = await locked()
    const direct = Object.keys(own.dependencies ?? {}).length
    const optional = Object.keys(own.optionalDependencies ?? {}).length
    expect(await readPage('docs/dependencies.md')).toContain(
      `${direct} direct dependencies, ${optional} optional ones of which a machine takes at most one, and ${installed.length - direct - optional} packages that these bring`,
    )
  })
})
