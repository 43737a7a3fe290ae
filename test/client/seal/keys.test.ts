import { generateHybridIdentity, identityToRecipient } from 'age-encryption'
import { describe, expect, test } from 'vitest'
import { makeHeader, openHeader, recipientOf } from '../../../client/seal/age.js'
import { parseIdentityFile, parseRecipientFile } from '../../../client/seal/key-file.js'
import { identityKind, recipientKind } from '../../../client/seal/keys.js'
import { headerEnd, MAX_HEADER_BYTES, recipientTypes } from '../../../shared/age-header.js'
import { newKey } from '../../helpers/sealing.js'

const { identity, recipient, header: own } = await newKey()
const pqIdentity = await generateHybridIdentity()
const pqRecipient = await identityToRecipient(pqIdentity)
const usage = (message: RegExp) =>
  expect.objectContaining({ code: 'usage', message: expect.stringMatching(message) })

/** A key with another last letter. */
function mistyped(key: string): string {
  const letter = key.endsWith(key.startsWith('age') ? 'q' : 'Q') ? 'p' : 'q'
  return key.slice(0, -1) + (key.startsWith('age') ? letter : letter.toUpperCase())
}

describe('a public key', () => {
  test('is one of X25519, or against quantum computers', () => {
    expect(recipientKind(recipient)).toBe('x25519')
    expect(recipientKind(pqRecipient)).toBe('pq')
  })

  test.each([
    ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN', /SSH keys are not taken/],
    ['age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t', /plugins are not taken/],
    ['age1tag1q0jm6jy', /plugins are not taken/],
    [recipient.slice(0, -1), /is not complete or has a typo/],
    [recipient.toUpperCase(), /must be a public key/],
    [pqRecipient.toUpperCase().replace('AGE1PQ1', 'age1pq1'), /is not complete or has a typo/],
    ['bob@example.com', /, not bob@example\.com\.$/],
    ['', /must be a public key/],
  ])('is not %s', (text, words) => {
    expect(() => recipientKind(text)).toThrow(usage(words))
  })

  test.each([recipient, pqRecipient])('with a typo is found by its checksum: %.20s…', (key) => {
    expect(() => recipientKind(mistyped(key))).toThrow(usage(/ is not complete or has a typo\.$/))
  })

  test('that nothing can be sealed for is refused', async () => {
    // Thirty-two zeros: whatever it is multiplied by, everybody knows the product.
    const zeros = 'age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z'
    await expect(makeHeader({ recipients: [zeros] })).rejects.toEqual(
      usage(/no key that anything can be encrypted for/),
    )
  })

  test('must not be a secret one, which is not quoted', () => {
    for (const key of [identity, identity.toLowerCase(), pqIdentity]) {
      expect(() => recipientKind(key)).toThrow(usage(/This is a secret key/))
      expect(() => recipientKind(key)).not.toThrow(new RegExp(key.slice(16, 40), 'i'))
    }
  })
})

describe('a secret key', () => {
  test('is one of X25519, or against quantum computers', () => {
    expect(identityKind(identity)).toBe('x25519')
    expect(identityKind(pqIdentity)).toBe('pq')
  })

  test.each([
    [recipient, /This is a public key/],
    ['AGE-PLUGIN-YUBIKEY-1QGQQQ', /plugins are not taken/],
    ['-----BEGIN OPENSSH PRIVATE KEY-----', /SSH keys are not taken/],
    [identity.slice(0, -1), /is not complete or has a typo/],
    ['hunter2-hunter2', /must be a secret key/],
  ])('is not %s', (text, words) => {
    expect(() => identityKind(text)).toThrow(usage(words))
    if (text !== recipient) expect(() => identityKind(text)).not.toThrow(new RegExp(text.slice(-10)))
  })

  test('with a typo is found by its checksum, and not quoted', async () => {
    const words = usage(/^An identity must be .* This one is not complete or has a typo\.$/)
    for (const key of [identity, pqIdentity]) {
      const wrong = mistyped(key)
      await expect(openHeader(own.header, { identities: [wrong] })).rejects.toEqual(words)
      await expect(recipientOf(wrong)).rejects.toEqual(words)
      expect(() => identityKind(wrong)).not.toThrow(new RegExp(key.slice(20, 40)))
    }
  })
})

describe('a file of keys', () => {
  test('has one on each line, and comments, as age-keygen writes them', () => {
    const text = `# created: 2026-11-30T01:00:00Z\r\n# public key: ${recipient}\r\n${identity}\r\n\n  ${pqIdentity}\n`
    expect(parseIdentityFile(text, 'key.txt')).toEqual([identity, pqIdentity])
    expect(parseRecipientFile(`${recipient}\n# Bob:\n\n${pqRecipient}`, 'team.txt')).toEqual([
      recipient,
      pqRecipient,
    ])
  })

  test('with a line that is none says which, and not what is on it', () => {
    const text = `# mine\n${identity}\n${identity.slice(0, 50)}\n`
    expect(() => parseIdentityFile(text, 'key.txt')).toThrow(
      usage(/^Line 3 of key\.txt must be a secret key/),
    )
    expect(() => parseIdentityFile(text, 'key.txt')).not.toThrow(new RegExp(identity.slice(20, 40)))
    expect(() => parseRecipientFile(`${recipient}\nssh-rsa AAAA\n`, 'team.txt')).toThrow(
      usage(/^Line 2 of team\.txt must be a public key of age, .* SSH keys are not taken/),
    )
  })

  test('without any is refused', () => {
    expect(() => parseIdentityFile('# nothing\n\n', 'key.txt')).toThrow(
      usage(/^key\.txt has no secret keys\.$/),
    )
    expect(() => parseRecipientFile('', 'team.txt')).toThrow(usage(/^team\.txt has no public keys\.$/))
  })

  test.each(['age-encryption.org/v1\n-> scrypt abc 18\n', '-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n'])(
    'that is locked with a passphrase is refused, with what to do: %j',
    (text) => {
      expect(() => parseIdentityFile(text, 'key.age')).toThrow(
        usage(/locked with a passphrase.* age -d key\.age/),
      )
    },
  )
})

describe('a header', () => {
  test('for several recipients opens with the key of any', async () => {
    const other = await newKey()
    const made = await makeHeader({ recipients: [recipient, other.recipient] })
    expect(recipientTypes(made.header)).toEqual(['X25519', 'X25519'])
    for (const key of [identity, other.identity]) {
      const { fileKey } = await openHeader(made.header, { identities: [key] })
      expect(fileKey).toEqual(made.fileKey)
    }
  })

  test('against quantum computers opens, and mixes with no other kind', async () => {
    const made = await makeHeader({ recipients: [pqRecipient] })
    const { fileKey } = await openHeader(made.header, { identities: [identity, pqIdentity] })
    expect(fileKey).toEqual(made.fileKey)
    await expect(makeHeader({ recipients: [pqRecipient, recipient] })).rejects.toEqual(
      usage(/cannot be mixed/),
    )
  })

  test('for no one is refused', async () => {
    await expect(makeHeader({ recipients: [] })).rejects.toEqual(usage(/at least one recipient/))
    await expect(makeHeader({ passphrase: '' })).rejects.toEqual(usage(/must not be empty/))
  })

  test('opens with no other key', async () => {
    const other = await newKey()
    await expect(openHeader(own.header, { identities: [other.identity] })).rejects.toMatchObject({
      code: 'wrong-key',
      message:
        'None of your keys opens this file, and a key behind the # of the link is one of them. It was encrypted for another key.',
    })
    await expect(openHeader(own.header, { identities: [], passphrase: 'abc' })).rejects.toMatchObject({
      code: 'wrong-key',
    })
  })

  test('that was changed in any byte is not opened', async () => {
    for (let at = 0; at < own.header.length; at++) {
      const changed = Buffer.from(own.header)
      changed[at] = (changed[at] ?? 0) ^ 1
      const opening = (async () => {
        const end = headerEnd(changed)
        if (end === undefined) throw Object.assign(new Error('it has no end'), { code: 'not-authentic' })
        await openHeader(changed.subarray(0, end), { identities: [identity] })
      })()
      // A changed share or body matches no key.
      await expect(opening, `byte ${at}`).rejects.toMatchObject({
        code: expect.stringMatching(/^(not-authentic|wrong-key)$/),
      })
    }
  })
})

describe('the end of a header', () => {
  test('is found as soon as it is there', () => {
    const file = Buffer.concat([own.header, Buffer.from('--- behind it\n')])
    for (let bytes = 0; bytes <= file.length; bytes++) {
      const end = headerEnd(file.subarray(0, bytes))
      expect(end, `of ${bytes} bytes`).toBe(bytes < own.header.length ? undefined : own.header.length)
    }
  })

  test.each([
    ['hello, this is no age file', /does not begin like a file of age/],
    ['age-encryption.org/v2\n', /does not begin/],
    ['age-encryption.org/v1\r\n', /does not begin/],
    ['-----BEGIN AGE ENCRYPTED FILE-----\n', /only the binary form/],
    [`age-encryption.org/v1\n--- ${'A'.repeat(44)}\n`, /no proper end/],
    [`age-encryption.org/v1\n--- ${'A'.repeat(42)}\n`, /no proper end/],
    [`age-encryption.org/v1\n-> x y\n${'A'.repeat(MAX_HEADER_BYTES)}`, /more than 256 KiB/],
    [
      `age-encryption.org/v1\n-> x y\n${'A'.repeat(MAX_HEADER_BYTES - 50)}\n--- ${'A'.repeat(43)}\n`,
      /more than 256 KiB/,
    ],
  ])('of %.30j is refused', (text, words) => {
    expect(() => headerEnd(Buffer.from(text))).toThrow(
      expect.objectContaining({ code: 'not-authentic', message: expect.stringMatching(words) }),
    )
  })
})
