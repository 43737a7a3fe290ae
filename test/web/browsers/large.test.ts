import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import { beforeEach, describe, expect, test } from 'vitest'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import { sha256, sha256OfFile, writeFileOf } from '../../helpers/bytes.js'
import { needs } from '../../helpers/needs.js'
import { memoryOf } from '../../helpers/program-memory.js'
import { openInChromium, openInFirefox, type ReceivePage } from '../../helpers/receive-page.js'
import { runEss } from '../../helpers/run-ess.js'
import * as sending from '../../helpers/send-page.js'
import { startServer } from '../../helpers/start-server.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { needsProc } from '../../helpers/unread.js'

const MIB = 1024 * 1024
const GIB = 1024 * MIB
/** It takes half a minute on a machine that does nothing else. */
const LONG_MS = 600_000
const LINK = /https?:\/\/\S+/
const NAME = 'large.bin'

beforeEach((context) => {
  needs(context, 'chromium', 'firefox-esr')
  needsProc(context)
})

/** A server that waits for a side that is away: a page that has enough for now leaves, and comes back. */
const startPatient = () => startServer('--max-upload-bytes', '0', '--resume-within', '120')

/** What a browser may take while a file passes: for its compiled scripts, and for what it has not thrown away yet. */
const MOST_BYTES = 512 * MIB
/** Garbage comes and goes; what is left of it is the same in both halves of a file. */
const GROWTH_BYTES = 96 * MIB

interface Watched {
  readonly program: RegExp
  readonly size: number
  /** How much of the file the page has. */
  readonly bytes: () => Promise<number>
}

/** Looks at the memory of a whole browser until the transfer is over, and expects it to be the same all along. */
async function expectFlat(over: Promise<unknown>, { program, size, bytes }: Watched): Promise<void> {
  let isOver = false
  const end = () => {
    isOver = true
  }
  over.then(end, end)
  const before = await memoryOf(program)
  const floors = { early: Number.POSITIVE_INFINITY, late: Number.POSITIVE_INFINITY }
  let peak = 0
  while (!isOver) {
    const had = await bytes()
    const memory = await memoryOf(program)
    // What is loaded first, and what an ending takes, is no growth.
    if (had > size / 8 && had < size) {
      const half = had < size / 2 ? 'early' : 'late'
      floors[half] = Math.min(floors[half], memory)
      peak = Math.max(peak, memory)
    }
    await delay(500)
  }
  await over
  const told = JSON.stringify({ before, ...floors, peak }, (_name, value) =>
    typeof value === 'number' ? `${Math.round(value / MIB)} MiB` : value,
  )
  expect(Math.max(floors.early, floors.late), `in both halves: ${told}`).toBeLessThanOrEqual(peak)
  expect(floors.late - floors.early, told).toBeLessThan(GROWTH_BYTES)
  expect(peak - before, told).toBeLessThan(MOST_BYTES)
}

const BAR = "document.querySelector('progress')?.value ?? 0"

/** Hashes of a file's slices: a page can't hash what is larger than its memory. */
const SLICE_BYTES = 64 * MIB

async function slicesOf(path: string): Promise<readonly string[]> {
  const file = await open(path)
  try {
    const hashes = []
    const slice = Buffer.alloc(SLICE_BYTES)
    for (;;) {
      const { bytesRead } = await file.read(slice, 0, SLICE_BYTES)
      if (bytesRead === 0) return hashes
      hashes.push(sha256(slice.subarray(0, bytesRead)))
    }
  } finally {
    await file.close()
  }
}

/** The same of a file that the person has picked. */
async function slicesOfPicked(page: Page, name: string): Promise<unknown> {
  return await page.evaluate(`(async () => {
    const handle = await (await navigator.storage.getDirectory()).getFileHandle(${JSON.stringify(name)})
    const file = await handle.getFile()
    const hashes = []
    for (let at = 0; at < file.size; at += ${SLICE_BYTES}) {
      const digest = await crypto.subtle.digest('SHA-256', await file.slice(at, at + ${SLICE_BYTES}).arrayBuffer())
      hashes.push([...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join(''))
    }
    return hashes
  })()`)
}

async function sendSealed(size: number) {
  const server = await startPatient()
  const path = join(await tempDir(), NAME)
  const hash = await writeFileOf(path, size)
  const sender = await runEss(server.url, ['send', '--encrypt', path])
  const [link = ''] = await sender.untilStdout(LINK)
  return { sender, link, path, hash }
}

describe('the memory of a browser does not grow', { timeout: 2 * LONG_MS }, () => {
  test('while Chromium receives 2 GiB, straight to the disk', async () => {
    const size = 2 * GIB
    const { sender, link, path } = await sendSealed(size)
    const page = await openInChromium(link, 'pickers')
    await page.press(RECEIVING.save)
    await expectFlat(page.untilShows(RECEIVING.savedToDisk(NAME), LONG_MS), {
      program: /chromium/,
      size,
      bytes: async () => Number(await page.page.evaluate(BAR)),
    })
    expect((await sender.ended()).code).toBe(0)
    expect(await slicesOfPicked(page.page, NAME)).toEqual(await slicesOf(path))
  })

  async function expectDownload(page: ReceivePage, hash: string): Promise<void> {
    const { path = '' } = await page.download(LONG_MS)
    expect(await sha256OfFile(path)).toBe(hash)
  }

  test('while Chromium receives 2 GiB, by its storage', async () => {
    const size = 2 * GIB
    const { sender, link, hash } = await sendSealed(size)
    const page = await openInChromium(link)
    await page.press(RECEIVING.save)
    await expectFlat(page.untilShows(RECEIVING.savedToDownloads, LONG_MS), {
      program: /chromium/,
      size,
      bytes: async () => Number(await page.page.evaluate(BAR)),
    })
    expect((await sender.ended()).code).toBe(0)
    await expectDownload(page, hash)
  })

  // A network that is faster than the page: Firefox would read all of it ahead.
  test('while Firefox receives 1 GiB, by its storage', async () => {
    const size = GIB
    const { sender, link, hash } = await sendSealed(size)
    const page = await openInFirefox(link)
    await page.press(RECEIVING.save)
    await expectFlat(page.untilShows(RECEIVING.savedToDownloads, LONG_MS), {
      program: /firefox/,
      size,
      bytes: async () => Number(await page.firefox.run(`return ${BAR}`)),
    })
    expect((await sender.ended()).code).toBe(0)
    await expectDownload(page, hash)
  })

  test.each([
    ['sealed', 2 * GIB],
    ['as it is', GIB],
  ])('while Chromium sends a large file, %s', async (how, size) => {
    const server = await startPatient()
    const folder = await tempDir()
    const hash = await writeFileOf(join(folder, NAME), size)
    const page = await sending.openInChromium(server.url)
    await page.chooseFiles([join(folder, NAME)])
    if (how === 'as it is') await page.unseal()
    await page.press('Send')
    const got = join(folder, 'got.bin')
    const ess = await runEss(undefined, ['get', await page.link(), '-o', got])
    await expectFlat(page.untilShows(/^Delivered$/m, LONG_MS), {
      program: /chromium/,
      size,
      bytes: async () => size * Number(await page.page.evaluate(BAR)),
    })
    expect((await ess.ended()).code).toBe(0)
    expect(await sha256OfFile(got)).toBe(hash)
  })
})
