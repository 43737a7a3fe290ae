import { EssError } from './problems.js'

/**
 * The longest header that we take: some 160 post-quantum recipients, or 2,600 others. It is kept in memory, and each
 * of your keys is tried on each recipient.
 */
export const MAX_HEADER_BYTES = 256 * 1024

const FIRST_LINE = new TextEncoder().encode('age-encryption.org/v1\n')
/** Only the last line begins like this: the others begin with `-> ` or are base64. */
const LAST_LINE_START = new TextEncoder().encode('\n--- ')
const LINE_FEED = 0x0a
/** 32 bytes as base64 without padding. */
const MAC_LENGTH = 43

/**
 * Finds the end of an age header in the first bytes of a file: the offset behind it. Undefined if more bytes are needed.
 * Throws EssError `not-authentic` if no header begins like this. It checks the frame alone; what is in it is checked when the
 * header is opened.
 */
export function headerEnd(bytes: Uint8Array): number | undefined {
  const known = Math.min(bytes.length, FIRST_LINE.length)
  if (!startsWith(bytes, FIRST_LINE.subarray(0, known), 0)) throw noHeader(bytes)
  // It begins at the line feed of the line before.
  const lastLineAt = indexOf(bytes, LAST_LINE_START, FIRST_LINE.length - 1)
  if (lastLineAt === -1) {
    if (bytes.length > MAX_HEADER_BYTES) throw damaged('has more than 256 KiB')
    return undefined
  }
  const end = lastLineAt + LAST_LINE_START.length + MAC_LENGTH + 1
  if (end > MAX_HEADER_BYTES) throw damaged('has more than 256 KiB')
  const lineFeedAt = bytes.indexOf(LINE_FEED, lastLineAt + 1)
  if (lineFeedAt === -1 && bytes.length < end) return undefined
  if (lineFeedAt !== end - 1) throw damaged('has no proper end')
  return end
}

/** What each of the header's recipients is, such as `X25519` or `scrypt`. */
export function recipientTypes(header: Uint8Array): string[] {
  return [...latin1(header).matchAll(/^-> (\S+)/gm)].map(([, type = '']) => type)
}

/** True if the header opens with a passphrase. */
export function isForPassphrase(header: Uint8Array): boolean {
  return recipientTypes(header).includes('scrypt')
}

/** The error for a header that is not well-formed. */
export function damaged(how: string, cause?: unknown): EssError {
  return new EssError('not-authentic', `What came is not what the sender encrypted: its age header ${how}.`, {
    cause,
  })
}

function noHeader(bytes: Uint8Array): EssError {
  const isArmored = latin1(bytes.subarray(0, 10)) === '-----BEGIN'
  const words = isArmored
    ? 'What came is text (-----BEGIN …), and only the binary form of age can be opened here. Download it without a key, and use age -d.'
    : 'What came is not encrypted: it does not begin like a file of age.'
  return new EssError('not-authentic', words)
}

/** Not `windows-1252`, which is what a TextDecoder makes of Latin-1. */
function latin1(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

function indexOf(bytes: Uint8Array, wanted: Uint8Array, from: number): number {
  for (let at = from; ; at++) {
    at = bytes.indexOf(wanted[0] ?? 0, at)
    if (at === -1 || startsWith(bytes, wanted, at)) return at
  }
}

function startsWith(bytes: Uint8Array, wanted: Uint8Array, at: number): boolean {
  return wanted.every((byte, index) => bytes[at + index] === byte)
}
