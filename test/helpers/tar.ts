import { Header } from '../../client/bundle/tar-format.js'

export const BLOCK = 512
const END = Buffer.alloc(2 * BLOCK)

/** One entry of a tar that a test makes by hand. */
export interface Made {
  readonly name: string | Buffer
  /** The type flag. Default: a file. */
  readonly type?: string
  readonly content?: string | Buffer
  readonly link?: string | Buffer
  readonly mode?: number
  /** The size in the header; default: that of the content. */
  readonly size?: number
  /** Records of an extended header before it. */
  readonly pax?: Readonly<Record<string, string | Buffer>> | Buffer
}

/** A header, whatever it says, with a right checksum. */
export function header({ name, type = '0', content = '', link = '', mode = 0o644, size }: Made): Buffer {
  const block = Buffer.alloc(BLOCK)
  Buffer.from(name).copy(block, 0, 0, 100)
  block.write(`${mode.toString(8).padStart(7, '0')}\0`, 100, 'latin1')
  block.write('0000000\x000000000\0', 108, 'latin1')
  block.write(`${(size ?? Buffer.from(content).length).toString(8).padStart(11, '0')}\0`, 124, 'latin1')
  block.write('14000000000\0', 136, 'latin1')
  block.write(type, 156, 'latin1')
  Buffer.from(link).copy(block, 157, 0, 100)
  block.write('ustar\x0000', 257, 'latin1')
  return summed(block)
}

/** The same header with the checksum that it should have. */
export function summed(block: Buffer): Buffer {
  block.fill(' ', 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

export function padded(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content)
  return Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)])
}

export function record(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')])
  let length = rest.length
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

export function entry(made: Made): Buffer {
  const { pax, content = '' } = made
  const records = Buffer.isBuffer(pax)
    ? pax
    : Buffer.concat(Object.entries(pax ?? {}).map(([key, value]) => record(key, value)))
  const before =
    records.length === 0 ? [] : [header({ name: 'PaxHeader', type: 'x', content: records }), padded(records)]
  return Buffer.concat([...before, header(made), padded(content)])
}

/** A tar of these entries, with its end. */
export function tarOf(...entries: readonly (Made | Buffer)[]): Buffer {
  return Buffer.concat([...entries.map((each) => (Buffer.isBuffer(each) ? each : entry(each))), END])
}

/** How many entries a tar has, by node-tar's reading of its headers. */
export function countEntries(tar: Buffer): number {
  let count = 0
  for (let at = 0; at + BLOCK <= tar.length; ) {
    const found = new Header(tar, at)
    if (found.nullBlock) break
    if (!'xgLK'.includes(tar.toString('latin1', at + 156, at + 157))) count += 1
    at += BLOCK + Math.ceil((found.size ?? 0) / BLOCK) * BLOCK
  }
  return count
}
