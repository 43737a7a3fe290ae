import { makeHeader, makeIdentity, openHeader, recipientOf } from '../../client/seal/age.js'
import type { Keys } from '../../client/seal/keys.js'
import { PAYLOAD_NONCE_BYTES, payloadKey } from '../../client/seal/payload.js'
import { PayloadOpener } from '../../client/seal/payload-opener.js'
import { sealedSource } from '../../client/seal/sealed-source.js'
import type { Source } from '../../client/send/source.js'
import { headerEnd } from '../../shared/age-header.js'

/** A key pair of age, and a header that it opens. */
export async function newKey() {
  const identity = await makeIdentity()
  const recipient = await recipientOf(identity)
  return { identity, recipient, header: await makeHeader({ recipients: [recipient] }) }
}

/** What a test says of a source made of bytes. */
export interface BytesSourceOptions extends Partial<Source> {
  /** The sizes of its blocks, again and again. Default: one of 1 MiB. */
  readonly blockBytes?: readonly number[]
}

/**
 * A source of these bytes, whose blocks are overwritten as soon as the next one is asked for, as those of a file are. It
 * reads `content` anew each time, so it may be changed in between.
 */
export function bytesSource(
  content: Buffer,
  { blockBytes = [1024 * 1024], ...facts }: BytesSourceOptions = {},
): Source {
  return {
    name: 'file.bin',
    size: content.length,
    isRepeatable: true,
    reach: Number.POSITIVE_INFINITY,
    async *read(from = 0) {
      for (let at = from, turn = 0; at < content.length; turn++) {
        const block = Buffer.from(
          content.subarray(at, at + Math.max(1, blockBytes[turn % blockBytes.length] ?? 1)),
        )
        at += block.length
        yield block
        block.fill(0xee)
      }
    },
    async close() {},
    ...facts,
  }
}

/** All that a source gives from there on. */
export async function readFrom(source: Source, from: number): Promise<Buffer> {
  const blocks: Buffer[] = []
  for await (const block of source.read(from)) blocks.push(Buffer.from(block))
  return Buffer.concat(blocks)
}

/** Bytes as an age file for a new key, in one go. */
export async function sealBytes(
  content: Buffer,
): Promise<{ readonly identity: string; readonly file: Buffer }> {
  const { identity, header } = await newKey()
  return { identity, file: await readFrom(sealedSource(bytesSource(content), undefined, header), 0) }
}

/** Opens an age file, as our receivers do. Throws EssError; `onChunk` is called with what comes out before that. */
export async function openBytes(
  file: Buffer,
  keys: Keys,
  onChunk: (chunk: Buffer) => void = () => {},
): Promise<Buffer> {
  const end = headerEnd(file) ?? Number.NaN
  const { fileKey } = await openHeader(file.subarray(0, end), keys)
  const payloadAt = end + PAYLOAD_NONCE_BYTES
  const opener = new PayloadOpener(payloadKey(fileKey, file.subarray(end, payloadAt)))
  const chunks: Buffer[] = []
  const take = (chunk: Buffer) => {
    chunks.push(chunk)
    onChunk(chunk)
  }
  for (const chunk of opener.push(file.subarray(payloadAt))) take(chunk)
  take(opener.end())
  return Buffer.concat(chunks)
}
