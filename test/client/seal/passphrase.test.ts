import { Encrypter } from 'age-encryption'
import { describe, expect, test } from 'vitest'
import { makeHeader, openHeader } from '../../../client/seal/age.js'
import { passphraseRecipient } from '../../../client/seal/passphrase.js'
import { headerEnd, recipientTypes } from '../../../shared/age-header.js'
import { newKey } from '../../helpers/sealing.js'

const { identity, recipient, header: own } = await newKey()
// It takes a second, and so does each try to open it.
const sealed = await makeHeader({ passphrase: 'correct horse' })

describe('a header with a passphrase', () => {
  test('asks for it only if there is one', async () => {
    const asked: string[] = []
    const passphrase = async () => {
      asked.push('asked')
      return 'correct horse'
    }
    await expect(openHeader(own.header, { identities: [], passphrase })).rejects.toMatchObject({
      code: 'wrong-key',
    })
    expect(asked).toEqual([])
    const { fileKey } = await openHeader(sealed.header, { identities: [], passphrase })
    expect(fileKey).toEqual(sealed.fileKey)
    expect(asked).toEqual(['asked'])
    await expect(openHeader(sealed.header, { identities: [], passphrase: 'another' })).rejects.toMatchObject({
      code: 'wrong-key',
      message: 'This is not the password of this file.',
    })
    await expect(openHeader(sealed.header, { identities: [identity] })).rejects.toMatchObject({
      code: 'wrong-key',
      message: 'This file opens with a password, not with a key.',
    })
    const refused = new Error('no terminal')
    const refusing = openHeader(sealed.header, { identities: [], passphrase: () => Promise.reject(refused) })
    await expect(refusing).rejects.toBe(refused)
  })

  test('and another recipient beside it opens with neither, though it is whole', async () => {
    const encrypter = new Encrypter()
    encrypter.addRecipient(passphraseRecipient('correct horse'))
    encrypter.addRecipient(recipient)
    const file = Buffer.from(await encrypter.encrypt(''))
    const both = file.subarray(0, headerEnd(file))
    expect(recipientTypes(both)).toEqual(['scrypt', 'X25519'])
    await expect(openHeader(both, { identities: [identity] })).rejects.toMatchObject({
      code: 'not-authentic',
      message: expect.stringMatching(/has a passphrase and other recipients/),
    })
  })
})
