import { BLOCK, entry, header, type Made, padded, record, summed, tarOf } from './tar.js'

/** An archive that must not be unpacked, and a few words of why. */
export interface Hostile {
  readonly name: string
  readonly tar: Buffer
  readonly why: RegExp
  /** As announced. Default: as many as there are. */
  readonly entries?: number
}

const folder = (name: string): Made => ({ name: `${name}/`, type: '5', mode: 0o755 })
const file = (name: string, content = 'evil'): Made => ({ name, content })
const symlink = (name: string, link: string): Made => ({ name, type: '2', link })
const hardlink = (name: string, link: string): Made => ({ name, type: '1', link })
const photos = folder('photos')

const bytes = (made: Made, change: (block: Buffer) => void) => {
  const block = header(made)
  change(block)
  return summed(block)
}
const global = (records: Buffer) =>
  Buffer.concat([header({ name: 'g', type: 'g', content: records }), padded(records)])
const long = (type: 'L' | 'K', name: string) => {
  const content = `${name}\0`
  return Buffer.concat([header({ name: '././@LongLink', type, content }), padded(content)])
}

function hostile(name: string, why: RegExp, ...entries: readonly (Made | Buffer)[]): Hostile {
  return { name, why, tar: tarOf(...entries) }
}

/** `OUTSIDE` stands for a path that exists, outside. */
export function hostileTars(outside: string): readonly Hostile[] {
  const whole = tarOf(photos, file('photos/a'))
  return [
    // Paths that lead out.
    hostile('an absolute path', /absolute/, file(`${outside}/victim`)),
    hostile('an absolute path in an extended header', /absolute/, {
      ...file('x'),
      pax: { path: `${outside}/victim` },
    }),
    hostile('an absolute path by a long name', /absolute/, long('L', `${outside}/victim`), file('x')),
    hostile(
      'an absolute path by a prefix',
      /absolute/,
      bytes(file('victim'), (block) => block.write(outside, 345, 'latin1')),
    ),
    hostile('two slashes before it', /absolute/, file(`//${outside}/victim`)),
    hostile('a path that goes up', /leads out/, file('../victim')),
    hostile('a path that goes up twice', /leads out/, file('../../victim')),
    hostile('a path that goes up behind a name', /leads out/, photos, file('photos/../../victim')),
    hostile('a path that goes up and comes back', /leads out/, photos, file('photos/../photos/a')),
    hostile('a path that goes up at its end', /leads out/, photos, folder('photos/..')),
    hostile(
      'a name that a terminal would obey',
      /^This .*"\.\.\/a\\n\\u\{1b\}\[31mb" leads out/,
      file('../a\n\u001b[31mb'),
    ),
    hostile('nothing but ..', /leads out/, folder('..')),
    hostile(
      '.. by a prefix',
      /leads out/,
      bytes(file('victim'), (block) => block.write('..', 345, 'latin1')),
    ),
    // Names that are none.
    hostile('a dot', /empty name/, folder('.')),
    hostile('a dot before it', /empty name/, file('./a')),
    hostile('a dot within', /empty name/, photos, file('photos/./a')),
    hostile('no name', /no name/, file('')),
    hostile('a slash', /absolute|no name/, folder('')),
    hostile('two slashes within', /empty name/, photos, file('photos//a')),
    hostile('a file with a slash behind it', /empty name/, photos, file('photos/a/')),
    hostile('a NUL in a name', /NUL/, photos, { ...file('x'), pax: { path: 'photos/a\0b' } }),
    hostile('a NUL in a long name', /NUL/, photos, long('L', 'photos/a\0b'), file('x')),
    hostile('a name of 256 bytes', /too long/, photos, {
      ...file('x'),
      pax: { path: `photos/${'n'.repeat(256)}` },
    }),
    hostile('a path of 4096 bytes', /too long/, { ...file('x'), pax: { path: 'a/'.repeat(2048) } }),
    hostile('nothing but dots and dashes', /no name/, folder('-.')),
    // Kinds that are not unpacked.
    hostile('a character device', /device/, { name: 'null', type: '3' }),
    hostile('a block device', /device/, photos, { name: 'photos/sda', type: '4' }),
    hostile('a FIFO', /named pipe/, photos, { name: 'photos/fifo', type: '6' }),
    hostile('a contiguous file', /reserved/, { name: 'x', type: '7' }),
    hostile('a sparse file of GNU tar', /sparse/, { name: 'x', type: 'S', content: 'x' }),
    hostile('a sparse file by its records', /sparse/, {
      ...file('x'),
      pax: { 'GNU.sparse.major': '1', 'GNU.sparse.name': 'y' },
    }),
    hostile('a volume header', /kind/, { name: 'x', type: 'V' }),
    hostile('a continued file', /kind/, { name: 'x', type: 'M', content: 'x' }),
    hostile('an unknown type', /kind/, { name: 'x', type: 'Z' }),
    hostile('a folder with content', /has content/, { name: 'x/', type: '5', content: 'x' }),
    hostile('a symbolic link with content', /has content/, photos, {
      ...symlink('photos/l', 'a'),
      content: 'x',
    }),
    hostile('a hard link with content', /has content/, photos, file('photos/a'), {
      ...hardlink('photos/b', 'photos/a'),
      content: 'x',
    }),
    // Symbolic links.
    hostile('a link to an absolute path', /absolute/, photos, symlink('photos/l', outside)),
    hostile('a link to an absolute path, by an extended header', /absolute/, photos, {
      ...symlink('photos/l', 'a'),
      pax: { linkpath: outside },
    }),
    hostile(
      'a link to an absolute path, by a long name',
      /absolute/,
      photos,
      long('K', outside),
      symlink('photos/l', 'a'),
    ),
    hostile('a link that leads up', /leads out/, photos, symlink('photos/l', '..')),
    hostile('a link that leads up and down', /leads out/, photos, symlink('photos/l', '../outside/victim')),
    hostile('a link that leads up twice', /leads out/, photos, symlink('photos/l', '../../etc/passwd')),
    hostile('a link that leads up behind a name', /leads out/, photos, symlink('photos/l', 'a/../../victim')),
    hostile(
      'a link back into its own folder from outside',
      /leads out/,
      photos,
      symlink('photos/l', '../photos/a'),
    ),
    hostile('a link at the top', /leads out/, symlink('l', 'notes.txt')),
    hostile('a link at the top to where it is', /leads out/, symlink('l', '.')),
    hostile('a link at the top, up', /leads out/, symlink('l', '../victim')),
    hostile('a link to a thing that gets another name', /leads out/, folder('.ssh'), symlink('l', '.ssh/id')),
    hostile('a link to nothing', /nowhere/, photos, symlink('photos/l', '')),
    hostile('a link with a NUL', /nowhere/, photos, {
      ...symlink('photos/l', 'a'),
      pax: { linkpath: 'a\0b' },
    }),
    hostile(
      'a link up through another link',
      /through another/,
      ...[photos, folder('photos/a'), folder('photos/a/b')],
      symlink('photos/down', 'a/b'),
      symlink('photos/l', 'down/../../../victim'),
    ),
    hostile(
      'a link up through a link that comes after it',
      /through another/,
      ...[photos, folder('photos/a'), symlink('photos/a/l', '../down/..'), symlink('photos/down', '.')],
    ),
    hostile(
      'a link up through a link in another case',
      /through another/,
      ...[photos, folder('photos/a'), symlink('photos/\u00dcp', 'a'), symlink('photos/l', 'u\u0308p/../x')],
    ),
    // Beneath what is no folder.
    hostile('a file beneath a link', /no folder/, photos, symlink('photos/l', 'a'), file('photos/l/victim')),
    hostile(
      'a file beneath a link to a folder',
      /no folder/,
      photos,
      folder('photos/a'),
      symlink('photos/l', 'a'),
      file('photos/l/x'),
    ),
    hostile('a folder where a link is', /twice/, photos, symlink('photos/l', 'a'), folder('photos/l')),
    hostile('a file where a link is', /twice/, photos, symlink('photos/l', 'a'), file('photos/l')),
    hostile('a link where a file is', /twice/, photos, file('photos/l'), symlink('photos/l', 'a')),
    hostile('a file beneath a file', /no folder/, photos, file('photos/a'), file('photos/a/b')),
    hostile('a file beneath nothing', /no folder/, file('a/b/c')),
    hostile('a file before its folder', /no folder/, file('photos/a'), photos),
    hostile('a file twice', /twice/, photos, file('photos/a'), file('photos/a')),
    hostile('a folder twice', /twice/, photos, photos),
    hostile('a folder and a file', /twice/, photos, file('photos')),
    // Hard links.
    hostile('a hard link out', /leads out/, photos, hardlink('photos/l', '../victim')),
    hostile('a hard link to an absolute path', /absolute/, photos, hardlink('photos/l', `${outside}/victim`)),
    hostile(
      'a hard link to a symbolic link',
      /no file before/,
      photos,
      symlink('photos/s', 'a'),
      hardlink('photos/l', 'photos/s'),
    ),
    hostile('a hard link to a folder', /no file before/, photos, hardlink('photos/l', 'photos')),
    hostile(
      'a hard link to what comes later',
      /no file before/,
      photos,
      hardlink('photos/l', 'photos/a'),
      file('photos/a'),
    ),
    hostile('a hard link to itself', /no file before/, photos, hardlink('photos/l', 'photos/l')),
    hostile('a hard link to nothing', /no name|no file before/, photos, hardlink('photos/l', '')),
    // Sizes.
    {
      name: 'an entry larger than the bundle',
      why: /announced/,
      tar: Buffer.concat([header({ name: 'x', size: 1e9 }), Buffer.alloc(BLOCK)]),
      entries: 1,
    },
    {
      name: 'an entry larger than the bundle, by its records',
      why: /two sizes/,
      tar: tarOf({ ...file('x'), pax: { size: '8' } }),
      entries: 1,
    },
    {
      name: 'an entry of 8 EiB, by its records',
      why: /announced|no number/,
      tar: tarOf({ ...file('x'), size: 0, pax: { size: '9223372036854775807' } }),
      entries: 1,
    },
    {
      name: 'an entry of a terabyte, by its records',
      why: /announced/,
      tar: tarOf({ name: 'x', pax: { size: String(2 ** 40) } }),
      entries: 1,
    },
    {
      name: 'a negative size',
      why: /negative|number/,
      tar: tarOf(bytes(file('x'), (block) => block.fill(0xff, 124, 136))),
      entries: 1,
    },
    {
      name: 'a size in base 256 that is too large',
      why: /too large/,
      tar: tarOf(bytes(file('x'), (block) => block.fill(0x7f, 125, 136).writeUInt8(0x80, 124))),
      entries: 1,
    },
    hostile(
      'a size that is no number',
      /no number/,
      bytes(file('x'), (block) => block.write('00000009x00\0', 124, 'latin1')),
    ),
    { name: 'more entries than announced', why: /more entries than the 1 /, tar: whole, entries: 1 },
    { name: 'entries where none was announced', why: /more entries than the 0 /, tar: whole, entries: 0 },
    // Extended headers.
    hostile('a record that is too long', /wrong length/, { ...file('x'), pax: Buffer.from('99 path=a\n') }),
    hostile('a record that is too short', /wrong length/, { ...file('x'), pax: Buffer.from('6 path=a\n') }),
    hostile('a record of length 0', /wrong length/, { ...file('x'), pax: Buffer.from('0 path=a\n') }),
    hostile('a record of negative length', /wrong length/, { ...file('x'), pax: Buffer.from('-9 path=a\n') }),
    hostile('a record with a zero before its length', /wrong length/, {
      ...file('x'),
      pax: Buffer.from('010 path=a\n'),
    }),
    hostile('a record without a line feed', /wrong length/, { ...file('x'), pax: Buffer.from('9 path=a ') }),
    hostile('a record without a value', /without a key/, { ...file('x'), pax: Buffer.from('7 path\n') }),
    hostile('a record without a key', /without a key/, { ...file('x'), pax: Buffer.from('5 =a\n') }),
    hostile('no length at all', /wrong length/, { ...file('x'), pax: Buffer.from('path=a\n') }),
    hostile('two paths', /two values/, {
      ...file('x'),
      pax: Buffer.concat([record('path', 'a'), record('path', '../b')]),
    }),
    hostile('an empty path', /empty path/, { ...file('x'), pax: { path: '' } }),
    hostile('a path, and a long name', /two values/, long('L', 'a'), { ...file('x'), pax: { path: 'b' } }),
    hostile(
      'two extended headers',
      /two extended/,
      entry({ ...file('x'), pax: { path: 'a' } }).subarray(0, 2 * BLOCK),
      { ...file('x'), pax: { mtime: '1' } },
    ),
    hostile('two long names', /two extended/, long('L', 'a'), long('L', 'b'), file('x')),
    hostile('an empty long name', /no name/, long('L', ''), file('x')),
    hostile('an empty extended header', /empty, or too large/, header({ name: 'x', type: 'x' }), file('x')),
    hostile(
      'an extended header of a gigabyte',
      /empty, or too large/,
      header({ name: 'x', type: 'x', size: 2 ** 30 }),
    ),
    hostile(
      'an extended header without an entry',
      /no entry/,
      entry({ ...file('x'), pax: { path: 'a' } }).subarray(0, 2 * BLOCK),
    ),
    hostile('a time that is no number', /no number/, { ...file('x'), pax: { mtime: '1e9' } }),
    hostile('a size that is no number, in a record', /no number/, { ...file('x'), pax: { size: '+4' } }),
    hostile('a global path', /global/, global(record('path', '../victim')), file('x')),
    hostile('a global size', /global/, global(record('size', '0')), file('x')),
    hostile(
      'a global target',
      /global/,
      global(record('linkpath', '/etc/passwd')),
      photos,
      symlink('photos/l', 'a'),
    ),
    // What is no tar, or no whole one.
    hostile('a wrong checksum', /checksum/, header(file('x')).fill('7', 148, 149)),
    hostile('no checksum', /checksum/, header(file('x')).fill(0, 148, 156)),
    hostile(
      'an old tar',
      /kind of tar/,
      bytes(file('x'), (block) => block.fill(0, 257, 265)),
    ),
    { name: 'no tar', why: /checksum/, tar: Buffer.alloc(2048, 'a'), entries: 1 },
    { name: 'nothing', why: /middle/, tar: Buffer.alloc(0), entries: 0 },
    { name: 'a tar without its end', why: /middle/, tar: whole.subarray(0, -2 * BLOCK), entries: 2 },
    { name: 'a tar with half an end', why: /middle/, tar: whole.subarray(0, -BLOCK), entries: 2 },
    { name: 'a tar that ends in a header', why: /middle/, tar: whole.subarray(0, BLOCK + 100), entries: 2 },
    { name: 'a tar behind a tar', why: /follows/, tar: Buffer.concat([whole, tarOf(file('y'))]), entries: 3 },
    {
      name: 'a byte behind the end',
      why: /follows/,
      tar: Buffer.concat([whole, Buffer.from('x')]),
      entries: 2,
    },
    hostile('a header behind half an end', /follows/, photos, Buffer.alloc(BLOCK), file('x')),
  ]
}
