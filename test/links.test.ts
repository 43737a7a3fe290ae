import { access, readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { fencedBlocks, readPage } from './helpers/markdown.js'

const ROOT = new URL('../', import.meta.url)
const docs = (await readdir(new URL('docs', ROOT))).filter((name) => name.endsWith('.md'))
const PAGES = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'bench/README.md',
  ...docs.map((name) => `docs/${name}`),
]

test.each(PAGES)('every link of %s leads to a page, and to a heading that it has', async (path) => {
  const page = withoutBlocks(await readPage(path))
  const links = [...page.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?[^)]*\)/g)]
  for (const [link, file = '', anchor] of links) {
    const target = file === '' ? new URL(path, ROOT) : new URL(file, new URL(path, ROOT))
    await expect(access(target), link).resolves.toBeUndefined()
    if (anchor === undefined) continue
    const found = anchors(await readPage(fileURLToPath(target).slice(fileURLToPath(ROOT).length)))
    expect(found, link).toContain(anchor)
  }
})

test('every page that the code names is there, with the heading that it names', async () => {
  const folders = ['server', 'client', 'shared', 'examples']
  const found = folders.map(async (folder) =>
    (await readdir(new URL(folder, ROOT), { recursive: true })).map((name) => `${folder}/${name}`),
  )
  const files = (await Promise.all(found)).flat().filter((name) => /\.m?[tj]s$/.test(name))
  const named = new Set<string>()
  for (const file of ['package.json', ...files])
    for (const [link] of (await readPage(file)).matchAll(/\bdocs\/[\w-]+\.md(?:#[\w-]+)?/g)) named.add(link)
  expect(named.size).toBeGreaterThan(3)
  for (const link of named) {
    const [path = '', anchor] = link.split('#')
    const page = await readPage(path)
    if (anchor !== undefined) expect(anchors(page), link).toContain(anchor)
  }
})

/** The anchors that GitHub gives the headings of a page. */
function anchors(page: string): string[] {
  const headings = [...withoutBlocks(page).matchAll(/^#{1,6} (.*)$/gm)].map(([, text = '']) => text)
  return headings.map((text) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** In a block a `#` begins a comment, and brackets are code. */
function withoutBlocks(page: string): string {
  const lines = page.split('\n')
  for (const { line, text } of fencedBlocks(page)) lines.fill('', line - 1, line + text.split('\n').length)
  return lines.join('\n')
}
