import { readdir } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { readPage } from './helpers/markdown.js'

/** What each door of the package exports, types too, as its source says it. */
const DOORS = {
  'ephemeral-socket-service': 'server/index.ts',
  'ephemeral-socket-service/client': 'client/index.ts',
  'ephemeral-socket-service/protocol': 'shared/index.ts',
} as const

test.each(Object.entries(DOORS))('every export of %s has a type test', async (door, index) => {
  const names = await exportsOf(index)
  expect(names.length).toBeGreaterThan(10)
  const folder = new URL('types/', import.meta.url)
  const tests = await Promise.all((await readdir(folder)).map((name) => readPage(`test/types/${name}`)))
  const used = tests.flatMap((text) => {
    const imports = new RegExp(`import (?:type )?\\{([^}]*)\\} from '${door}'`, 'g')
    return [...text.matchAll(imports)].flatMap(([, list = '']) => namesIn(list))
  })
  // What is imported and not used is a lint error.
  expect(names.filter((name) => !used.includes(name))).toEqual([])
})

async function exportsOf(path: string): Promise<string[]> {
  const text = await readPage(path)
  const named = [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list = '']) =>
    namesIn(list),
  )
  const declared = /^export (?:const|function|class|type|interface|async function) (\w+)/gm
  const folder = path.replace(/[^/]+$/, '')
  const all = [...text.matchAll(/^export \* from '\.\/(\S+)\.js'/gm)].map(async ([, file]) =>
    [...(await readPage(`${folder}${file}.ts`)).matchAll(declared)].map(([, name = '']) => name),
  )
  return [...named, ...(await Promise.all(all)).flat()]
}

function namesIn(list: string): string[] {
  return list
    .split(',')
    .map((name) => name.trim().replace(/^type /, ''))
    .filter((name) => name !== '')
}
