import { chmod, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { FileWatch } from '../../../server/node/file-watch.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { until } from '../../helpers/within.js'

/** A watched file, and what was read of it so far; `whileReading` runs once, after a reading has begun. */
async function watched(path: string) {
  const watch = new FileWatch([path], 20, 20)
  onTestFinished(() => watch.close())
  const readings: string[] = []
  let whileReading = async () => {}
  const read = () =>
    watch.read(async () => {
      readings.push(await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => `${error.code}`))
      const work = whileReading
      whileReading = async () => {}
      await work()
    })
  await read()
  return {
    watch,
    readings,
    read,
    start: () => watch.start(read),
    duringNext: (work: () => Promise<void>) => {
      whileReading = work
    },
  }
}

const aFile = async (text: string) => {
  const path = join(await tempDir(), 'file')
  await writeFile(path, text)
  return path
}

/** What may happen to a file, and what is read afterwards. */
const CHANGES: readonly (readonly [name: string, change: (path: string) => Promise<void>, text: string])[] = [
  ['is written', (path) => writeFile(path, 'new'), 'new'],
  [
    'is replaced by another one',
    async (path) => {
      await writeFile(`${path}.new`, 'new')
      await rename(`${path}.new`, path)
    },
    'new',
  ],
  ['is removed', (path) => rm(path), 'ENOENT'],
  ['may be read by others', (path) => chmod(path, 0o604), 'old'],
]

test.each(CHANGES)('a file that %s is read again, once', async (_name, change, text) => {
  const path = await aFile('old')
  const { readings, start, watch } = await watched(path)
  start()
  await change(path)
  await until('it is read again', () => readings.length > 1)
  watch.close()
  expect(readings).toEqual(['old', text])
})

test('a file behind a link to a folder is read again when the link moves', async () => {
  const folder = await tempDir()
  for (const version of ['one', 'two']) {
    await mkdir(join(folder, version))
    await writeFile(join(folder, version, 'file'), version)
  }
  await symlink('one', join(folder, 'live'))
  const { readings, start } = await watched(join(folder, 'live', 'file'))
  start()
  await symlink('two', join(folder, 'next'))
  await rename(join(folder, 'next'), join(folder, 'live'))
  await until('it is read again', () => readings.length > 1)
  expect(readings).toEqual(['one', 'two'])
})

test('a change before the watch starts is not missed, nor is one during a reading', async () => {
  const path = await aFile('one')
  const { readings, start, duringNext } = await watched(path)
  await writeFile(path, 'second')
  duringNext(() => writeFile(path, 'the third'))
  start()
  await until('both are read', () => readings.length > 2)
  expect(readings).toEqual(['one', 'second', 'the third'])
})

test('one reading begins when the one before it has ended, well or not', async () => {
  const path = await aFile('one')
  const { watch } = await watched(path)
  const log: string[] = []
  const first = watch.read(async () => {
    log.push('first begins')
    await new Promise((resolve) => setImmediate(resolve))
    log.push('first ends')
    throw new Error('of no use')
  })
  const second = watch.read(async () => {
    log.push('second begins')
    return 'good'
  })
  await expect(first).rejects.toThrow('of no use')
  expect(await second).toBe('good')
  expect(log).toEqual(['first begins', 'first ends', 'second begins'])
})

test('what was read by hand is not read again', async () => {
  const path = await aFile('one')
  const other = await aFile('x')
  const byHand = await watched(path)
  const control = await watched(other)
  byHand.start()
  control.start()
  await writeFile(path, 'second')
  await byHand.read()
  await writeFile(other, 'changed')
  // The control began to look later, and needs one look more.
  await until('the control is read', () => control.readings.length > 1)
  expect(byHand.readings).toEqual(['one', 'second'])
})
