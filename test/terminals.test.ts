import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { readPage } from './helpers/markdown.js'
import { needs } from './helpers/needs.js'
import { run } from './helpers/run.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** A recording takes some ten seconds; a busy machine needs more. */
const RECORDING_MS = 90_000

test('the picture of two terminals ends with the words that ess says now', {
  timeout: 120_000,
}, async (context) => {
  needs(context, 'tmux')
  const script = join(ROOT, 'scripts', 'record-terminals.mjs')
  const { code, stdout, stderr } = await (
    await run('record-terminals', process.execPath, [script, '--check'])
  ).ended(RECORDING_MS)
  expect({ code, stdout: stdout.toString(), stderr }).toEqual({ code: 0, stdout: '', stderr: '' })
})

test('the picture is small, and says in words what it shows', async () => {
  const picture = await readPage('docs/terminals.svg')
  expect(Buffer.byteLength(picture)).toBeLessThan(60_000)
  expect(picture).toMatch(/<svg [^>]*role="img" aria-labelledby="title desc">/)
  const [, words = ''] = /<desc id="desc">([^<]*)</.exec(picture) ?? []
  expect(words).toMatch(/^The laptop shows: \$ ess send \S+; https:.* The desktop shows: \$ ess get /)
  // Without animation, the last row of each strip is what stands there.
  expect(picture).toContain('prefers-reduced-motion: no-preference')
  expect(picture).toContain('prefers-color-scheme: dark')
})
