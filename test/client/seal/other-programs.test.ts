import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Decrypter, Encrypter, generateHybridIdentity, identityToRecipient } from 'age-encryption'
import { beforeEach, describe, expect, test } from 'vitest'
import { makeHeader } from '../../../client/seal/age.js'
import type { Keys, Lock } from '../../../client/seal/keys.js'
import { CHUNK_BYTES } from '../../../client/seal/payload.js'
import { sealedSource } from '../../../client/seal/sealed-source.js'
import { bytesOf } from '../../helpers/bytes.js'
import { needs } from '../../helpers/needs.js'
import { run } from '../../helpers/run.js'
import { bytesSource, newKey, openBytes, readFrom } from '../../helpers/sealing.js'
import { tempDir } from '../../helpers/temp-dir.js'

const SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 10 * CHUNK_BYTES]

async function sealedFor(lock: Lock, content: Buffer): Promise<Buffer> {
  return await readFrom(sealedSource(bytesSource(content), 'file.bin', await makeHeader(lock)), 0)
}

const key = await newKey()
const pqIdentity = await generateHybridIdentity()
const PASSPHRASE = 'correct horse battery staple'
const LOCKS: readonly { name: string; lock: Lock; keys: Keys }[] = [
  { name: 'a key', lock: { recipients: [key.recipient] }, keys: { identities: [key.identity] } },
  {
    name: 'a post-quantum key',
    lock: { recipients: [await identityToRecipient(pqIdentity)] },
    keys: { identities: [pqIdentity] },
  },
  {
    name: 'a passphrase',
    lock: { passphrase: PASSPHRASE },
    keys: { identities: [], passphrase: PASSPHRASE },
  },
]

describe.each(LOCKS)('with typage, for $name', ({ lock, keys }) => {
  // A passphrase takes a second each way.
  const sizes = 'passphrase' in lock ? [CHUNK_BYTES + 1] : SIZES

  test.each(sizes)('it opens what we seal: %i bytes', async (size) => {
    const content = bytesOf(size)
    const decrypter = new Decrypter()
    if ('passphrase' in lock) decrypter.addPassphrase(lock.passphrase)
    for (const identity of keys.identities) decrypter.addIdentity(identity)
    const opened = await decrypter.decrypt(await sealedFor(lock, content))
    expect(content.equals(opened)).toBe(true)
  })

  test.each(sizes)('we open what it seals: %i bytes', async (size) => {
    const content = bytesOf(size)
    const encrypter = new Encrypter()
    if ('passphrase' in lock) encrypter.setPassphrase(lock.passphrase)
    else for (const recipient of lock.recipients) encrypter.addRecipient(recipient)
    const file = Buffer.from(await encrypter.encrypt(content))
    expect((await openBytes(file, keys)).equals(content)).toBe(true)
  })
})

describe('with the program age', () => {
  beforeEach((context) => needs(context, 'age', 'script'))

  test.each(SIZES)('it opens what we seal: %i bytes', async (size) => {
    const folder = await tempDir()
    const content = bytesOf(size)
    await writeFile(join(folder, 'key.txt'), `# a comment\n${key.identity}\n`)
    const file = await sealedFor({ recipients: [key.recipient] }, content)
    const age = await run('age -d', 'age', ['-d', '-i', join(folder, 'key.txt')], { stdin: file })
    const { code, stdout, stderr } = await age.ended()
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.equals(content)).toBe(true)
  })

  test.each(SIZES)('we open what it seals: %i bytes', async (size) => {
    const content = bytesOf(size)
    const age = await run('age', 'age', ['-r', key.recipient], { stdin: content })
    const { code, stdout, stderr } = await age.ended()
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect((await openBytes(stdout, { identities: [key.identity] })).equals(content)).toBe(true)
  })

  test('it opens with a passphrase what we seal with it', async () => {
    const folder = await tempDir()
    const content = bytesOf(CHUNK_BYTES + 1)
    await writeFile(join(folder, 'sealed.age'), await sealedFor({ passphrase: PASSPHRASE }, content))
    // It asks on a terminal alone.
    const age = await run('age -d', 'script', ['-qec', 'age -d -o opened sealed.age', '/dev/null'], {
      cwd: folder,
      stdin: 'open',
    })
    await age.untilStdout(/passphrase/i)
    age.stdin.write(`${PASSPHRASE}\n`)
    expect((await age.ended(30_000)).code).toBe(0)
    expect((await readFile(join(folder, 'opened'))).equals(content)).toBe(true)
  })

  test('we open with a passphrase what it seals with it', async () => {
    const folder = await tempDir()
    const content = bytesOf(CHUNK_BYTES + 1)
    await writeFile(join(folder, 'file.bin'), content)
    const age = await run('age -p', 'script', ['-qec', 'age -p -o sealed.age file.bin', '/dev/null'], {
      cwd: folder,
      stdin: 'open',
    })
    await age.untilStdout(/passphrase/i)
    age.stdin.write(`${PASSPHRASE}\n`)
    await age.untilStdout(/confirm/i)
    age.stdin.write(`${PASSPHRASE}\n`)
    expect((await age.ended(30_000)).code).toBe(0)
    const file = await readFile(join(folder, 'sealed.age'))
    expect((await openBytes(file, { identities: [], passphrase: PASSPHRASE })).equals(content)).toBe(true)
  })
})
