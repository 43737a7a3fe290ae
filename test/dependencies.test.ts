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

  test('counts them all', async () => {
    const { own, installed } = await locked()
    const direct = Object.keys(own.dependencies ?? {}).length
    const optional = Object.keys(own.optionalDependencies ?? {}).length
    expect(await readPage('docs/dependencies.md')).toContain(
      `${direct} direct dependencies, ${optional} optional ones of which a machine takes at most one, and ${installed.length - direct - optional} packages that these bring`,
    )
  })
})
