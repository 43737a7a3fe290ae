import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { download } from '../../../client/receive/download.js'
import { get } from '../../../client/receive/get.js'
import { send } from '../../../client/send/send.js'
import type { SendOptions } from '../../../client/send/send-options.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'

/** A file that is sent, up to its link. */
async function offered(options: SendOptions = {}): Promise<{ link: string; to: { file: string } }> {
  const server = await startServerHere()
  const folder = await tempDir()
  await writeFile(join(folder, 'f'), 'hello')
  const sending = send(join(folder, 'f'), { ...options, server: server.url })
  sending.verdict.catch(() => {}) // Some are never received.
  for await (const event of sending)
    if (event.event === 'opened') return { link: event.url, to: { file: join(folder, 'copy') } }
  throw new Error('Expected a link')
}

test('a function that asks for a password is not asked where nothing is sealed', async () => {
  const { link, to } = await offered()
  const passphrase = vi.fn(() => 'six random words')
  await download(link, { to, passphrase })
  expect(await readFile(to.file, 'utf8')).toBe('hello')
  expect(passphrase).not.toHaveBeenCalled()
})

test.each([
  ['a password', { passphrase: 'six random words' }],
  ['a function that asks for one, and sealed', { passphrase: () => 'six random words', sealed: true }],
  ['sealed alone', { sealed: true }],
])('with %s, nothing is accepted that is not sealed', async (_what, options) => {
  const { link, to } = await offered()
  await expect(download(link, { ...options, to })).rejects.toMatchObject({ code: 'not-authentic' })
  const other = await offered()
  await expect(get(other.link, options)).rejects.toMatchObject({ code: 'not-authentic' })
})

test('the function is asked again after a wrong password, and the link is not used up', async () => {
  const { link, to } = await offered({ encrypt: { passphrase: 'six random words' } })
  const answers = ['one', undefined]
  const asked: number[] = []
  const giveUp = (attempt: number) => {
    asked.push(attempt)
    return answers[attempt - 1]
  }
  await expect(download(link, { to, passphrase: giveUp })).rejects.toMatchObject({
    code: 'wrong-key',
    message: 'This is not the password of this file. The link still works.',
  })
  expect(asked).toEqual([1, 2])
  await download(link, { to, passphrase: async () => 'six random words' })
  expect(await readFile(to.file, 'utf8')).toBe('hello')
})

test('a link that lost its key is told so, also to a caller who could ask for a password', async () => {
  const { link, to } = await offered({ encrypt: true })
  const [bare = ''] = link.split('#')
  await expect(download(bare, { to, passphrase: () => 'x' })).rejects.toMatchObject({
    code: 'key-required',
    message: expect.stringMatching(/^This file is encrypted, and there is no key\. Copy the whole link/),
  })
  await expect(download(bare, { to, passphrase: 'x' })).rejects.toMatchObject({
    code: 'key-required',
    message: expect.stringMatching(/^This file is encrypted for a key, and a password does not open it\./),
  })
})
