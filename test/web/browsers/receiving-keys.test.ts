import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { makeIdentity, recipientOf } from '../../../client/seal/age.js'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import { bytesOf, sha256, sha256OfFile, writeFileOf } from '../../helpers/bytes.js'
import { needs } from '../../helpers/needs.js'
import { openInChromium, openInFirefox, type ReceivePage } from '../../helpers/receive-page.js'
import { run } from '../../helpers/run.js'
import { runCurl } from '../../helpers/run-curl.js'
import { runEss } from '../../helpers/run-ess.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { recordSecretsIn } from '../../helpers/suite-logs.js'
import { tempDir } from '../../helpers/temp-dir.js'

beforeEach((context) => needs(context, 'chromium', 'firefox-esr'))

const TOKEN = 'a-token-of-32-characters-for-tests'
const LINK = /https?:\/\/\S+/
const SIZE = 100_003
/** A password takes some seconds by a cipher in JavaScript. */
const PASSWORD_MS = 45_000

async function sendSealed(flags: readonly string[], env: Record<string, string> = {}) {
  const server = await startServerHere()
  const path = join(await tempDir(), 'secret.bin')
  const hash = await writeFileOf(path, SIZE)
  const sender = await runEss(server.url, ['send', ...flags, path], { env })
  const [link = ''] = await sender.untilStdout(LINK)
  return { server, sender, link, hash }
}

async function expectSaved(page: ReceivePage, hash: string): Promise<void> {
  await page.press(RECEIVING.save)
  await page.untilShows(/Every byte was checked/)
  const { path = '' } = await page.download()
  expect(await sha256OfFile(path)).toBe(hash)
}

describe.each([
  ['Chromium', openInChromium],
  ['Firefox', openInFirefox],
] as const)('in %s', (_browser, open) => {
  test('a link without its key asks for it, and takes the whole link', async () => {
    const { sender, link, hash } = await sendSealed(['--encrypt'])
    const [bare = ''] = link.split('#')
    const page = await open(bare)
    await page.untilShows(RECEIVING.noKeyNext)
    await page.answer('nothing')
    await page.untilShows(RECEIVING.noKeyInText)
    await page.answer(link)
    await page.untilShows(/secret\.bin/)
    await expectSaved(page, hash)
    expect((await sender.ended()).code).toBe(0)
  })

  test('a key that was cut, or is another one, is told in plain words, and uses nothing up', async () => {
    const { sender, link, hash } = await sendSealed(['--encrypt'])
    const page = await open(link.slice(0, -5))
    await page.untilShows(RECEIVING.cutKey)
    const other = await makeIdentity()
    recordSecretsIn(other)
    await page.answer(other)
    await page.untilShows(RECEIVING.wrongKey)
    await page.answer(link)
    await page.untilShows(/secret\.bin/)
    await expectSaved(page, hash)
    expect((await sender.ended()).code).toBe(0)
  })

  test('the wrong key in the link is told, and the link stays unused', async () => {
    const { sender, link } = await sendSealed(['--encrypt'])
    const [bare = ''] = link.split('#')
    const page = await open(`${bare}#${await makeIdentity()}`)
    await page.untilShows(RECEIVING.wrongKey)
    const ess = await runEss(undefined, ['get', link, '-o', join(await tempDir(), 'there.bin')])
    expect((await ess.ended()).code).toBe(0)
    expect((await sender.ended()).code).toBe(0)
  })

  test('no key, and a wrong one, are told over plain HTTP to another machine too', async () => {
    const { sender, link, hash } = await sendSealed(['--encrypt'])
    const [bare = ''] = link.split('#')
    const page = await open(bare.replace('127.0.0.1', 'send.test'))
    await page.untilShows(RECEIVING.noKeyNext)
    const other = await makeIdentity()
    recordSecretsIn(other)
    await page.answer(other)
    await page.untilShows(RECEIVING.wrongKey)
    await page.answer(link)
    await page.untilShows(/secret\.bin/)
    await page.press(RECEIVING.save)
    await page.untilShows(RECEIVING.savedToDownloads)
    const { path = '' } = await page.download()
    expect(await sha256OfFile(path)).toBe(hash)
    expect((await sender.ended()).code).toBe(0)
  })

  test('a file that is sealed for a key of the person’s own opens with it', async () => {
    const identity = await makeIdentity()
    recordSecretsIn(identity)
    const { sender, link, hash } = await sendSealed(['--to', await recipientOf(identity)])
    const page = await open(link)
    await page.untilShows(RECEIVING.noKeyNext)
    await page.answer(`# created: today\n${identity}\n`)
    await page.untilShows(/secret\.bin/)
    await expectSaved(page, hash)
    expect((await sender.ended()).code).toBe(0)
  })

  test('a password is asked for, until it is right', { timeout: 3 * PASSWORD_MS }, async () => {
    const file = join(await tempDir(), 'password')
    await writeFile(file, 'correct horse\n', { mode: 0o600 })
    const { sender, link, hash } = await sendSealed(['--password'], { ESS_PASSWORD_FILE: file })
    const page = await open(link)
    await page.untilShows(RECEIVING.passwordNeeded)
    await page.answer('wrong horse')
    await page.untilShows(RECEIVING.wrongPassword, PASSWORD_MS)
    await page.answer('correct horse')
    await page.untilShows(/secret\.bin/, PASSWORD_MS)
    await expectSaved(page, hash)
    expect((await sender.ended()).code).toBe(0)
  })

  test('what age and curl have sealed opens with the key that is put behind the link', async (context) => {
    needs(context, 'age', 'curl')
    const server = await startServerHere()
    const identity = await makeIdentity()
    recordSecretsIn(identity)
    const folder = await tempDir()
    const [plain, sealed] = [join(folder, 'plain'), join(folder, 'sealed.age')]
    const content = bytesOf(SIZE)
    await writeFile(plain, content)
    await (await run('age', 'age', ['-r', await recipientOf(identity), '-o', sealed, plain])).ended()
    const sender = await runCurl(['-T', sealed, `${server.url}/`])
    const [url = ''] = await sender.untilStdout(LINK)
    const page = await open(`${url}#${identity}`)
    await expectSaved(page, sha256(content))
    expect((await sender.ended()).code).toBe(0)
  })

  test('a file that is not sealed is refused where there is a key', async (context) => {
    needs(context, 'curl')
    const server = await startServerHere()
    const path = join(await tempDir(), 'open.bin')
    await writeFileOf(path, SIZE)
    const sender = await runCurl(['-T', path, `${server.url}/`])
    const [url = ''] = await sender.untilStdout(LINK)
    const page = await open(`${url}#${await makeIdentity()}`)
    await page.press(RECEIVING.save)
    await page.untilShows(RECEIVING.changed)
  })

  test('a second person is told that the link works once', async () => {
    const { sender, link } = await sendSealed(['--encrypt'])
    const page = await open(link)
    await page.untilShows(/secret\.bin/)
    const ess = await runEss(undefined, ['get', link, '-o', join(await tempDir(), 'there.bin')])
    expect((await ess.ended()).code).toBe(0)
    await sender.ended()
    await page.press(RECEIVING.save)
    await page.untilShows(/link worked once and has been used\. Ask the sender for a new one/)
  })
})

test('the token of a receiver, which the browser has asked for, goes with the requests of the page', async () => {
  const tokens = join(await tempDir(), 'tokens')
  await writeFile(tokens, `${TOKEN}\n`, { mode: 0o600 })
  const server = await startServerHere('--receive-tokens', tokens)
  const path = join(await tempDir(), 'secret.bin')
  const hash = await writeFileOf(path, SIZE)
  const sender = await runEss(server.url, ['send', '--encrypt', path])
  const [link = ''] = await sender.untilStdout(LINK)
  const page = await openInChromium(link.replace('://', `://any:${TOKEN}@`))
  await page.untilShows(/secret\.bin/)
  await expectSaved(page, hash)
  expect((await sender.ended()).code).toBe(0)
})
