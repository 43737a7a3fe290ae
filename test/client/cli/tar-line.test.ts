import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { ess } from '../../helpers/client-io.js'
import { needs } from '../../helpers/needs.js'
import { run } from '../../helpers/run.js'
import { tempDir } from '../../helpers/temp-dir.js'

const NAMES = [
  'photos',
  'my dir',
  "it's",
  '-dash',
  '@at',
  '$HOME',
  'ä',
  '~',
  '*',
  'a;b',
  '#x',
  '—ttl',
  '\\back',
  'a\\tb',
]

/** A folder `here` with folders of many names, a file in each, and files beside them. */
async function folders(): Promise<string> {
  const cwd = join(await tempDir(), 'here')
  for (const name of NAMES) {
    await mkdir(join(cwd, name, 'inner'), { recursive: true })
    await writeFile(join(cwd, name, 'inner', 'file'), name)
  }
  for (const name of ['one.txt', 'two.txt']) await writeFile(join(cwd, name), name)
  return cwd
}

/** What is typed after `ess send`, what the archive is called, and what is in it. */
const TYPED: readonly (readonly [typed: readonly string[], archive: string, members: readonly string[]])[] = [
  ...NAMES.map((name) => [['--', name], `${name}.tar`, [`${name}/inner/file`]] as const),
  [['photos/'], 'photos.tar', ['photos/inner/file']],
  [['./photos//'], 'photos.tar', ['photos/inner/file']],
  [['photos/inner'], 'inner.tar', ['inner/file']],
  [['../here/my dir/inner/'], 'inner.tar', ['inner/file']],
  [['.'], 'here.tar', ['here/photos/inner/file', 'here/one.txt']],
  [['photos/..'], 'here.tar', ['here/one.txt']],
  [['one.txt', 'two.txt'], 'files.tar', ['one.txt', 'two.txt']],
  [['one.txt', 'my dir'], 'files.tar', ['one.txt', 'my dir/inner/file']],
  [['photos/inner', 'my dir/inner'], 'files.tar', ['photos/inner/file', 'my dir/inner/file']],
  [['./photos/inner', 'my dir/../my dir/inner'], 'files.tar', ['photos/inner/file', 'my dir/inner/file']],
  [['photos', '../here/$HOME/inner'], 'files.tar', ['photos/inner/file', 'inner/file']],
  [['photos/inner', 'one.txt', 'my dir/inner/file'], 'files.tar', ['inner/file', 'one.txt', 'file']],
  [['photos/inner/file', 'photos/inner'], 'files.tar', ['file', 'inner/file']],
  [['a\\tb/inner', 'one.txt', '--', '-dash'], 'files.tar', ['inner/file', 'one.txt', '-dash/inner/file']],
  [['one.txt', '\\back', 'photos'], 'files.tar', ['one.txt', '\\back/inner/file', 'photos/inner/file']],
  [['photos/inner', 'a\\tb'], 'files.tar', ['photos/inner/file', 'a\\tb/inner/file']],
  [['../here/one.txt', '../here/two.txt'], 'files.tar', ['one.txt', 'two.txt']],
  [['photos', '--name', 'my name.tgz'], 'my name.tgz', ['photos/inner/file']],
]

beforeEach((context) => needs(context, 'tar'))

test.each(TYPED)('ess send %j gives the line that sends it today', async (typed, archive, members) => {
  const cwd = await folders()
  await expectLine(typed, cwd, archive, members)
})

test('of the folder above, too', async () => {
  const cwd = await folders()
  await expectLine(['..'], join(cwd, 'photos'), 'here.tar', ['here/one.txt'])
  await expectLine(['../..'], join(cwd, 'photos', 'inner'), 'here.tar', ['here/one.txt'])
})

/** Runs the line in a shell, with another `ess` that shows its arguments and lists the archive. */
async function expectLine(
  typed: readonly string[],
  cwd: string,
  archive: string,
  members: readonly string[],
): Promise<void> {
  const line = await lineFor(typed, cwd)
  const fake = 'ess() { printf "%s\\n" "$@"; tar t --quoting-style=literal; }'
  const program = await run(line, 'sh', ['-c', `set -e\n${fake}\n${line}`], { cwd })
  const { code, stdout, stderr } = await program.ended()
  expect([code, stderr], line).toEqual([0, ''])
  const [command, flag, name, ...list] = stdout.toString().trim().split('\n')
  expect([command, flag, name], line).toEqual(['send', '--name', archive])
  const listed = list.map((member) => member.replace(/^\.\//, ''))
  expect(listed, line).toEqual(expect.arrayContaining([...members]))
}

async function lineFor(typed: readonly string[], cwd: string): Promise<string> {
  const refused = ess(['send', ...typed], { cwd })
  expect(await refused.status).toBe(2)
  const [, line = ''] = /, run ((?:printf .* \| )?tar c.*?)(?: \[usage\])?$/m.exec(refused.stderr()) ?? []
  expect(line, refused.stderr()).not.toBe('')
  return line
}

test('the line keeps the options that were given', async () => {
  const cwd = await folders()
  const typed = ['photos', '--server', 'h.example', '--ttl', '1h30m', '-q', '--token-file', 'my token']
  expect(await lineFor(typed, cwd)).toBe(
    "tar c photos | ess send --name photos.tar --ttl 1h30m --server h.example --token-file 'my token' --quiet",
  )
})

test('with --json the refusal is an event, too', async () => {
  const refused = ess(['send', '--json', 'photos'], { cwd: await folders() })
  expect(await refused.status).toBe(2)
  const { event, problem } = JSON.parse(refused.stdout())
  expect([event, problem.type]).toEqual(['failed', 'urn:ess:problem:usage'])
  expect(problem.detail).toContain('tar c photos | ess send --name photos.tar --json')
})

test('the root has a name of its own', async () => {
  expect(await lineFor(['/'], '/')).toBe('tar cC / . | ess send --name root.tar')
  expect(await lineFor(['.'], '/')).toBe('tar c . | ess send --name root.tar')
})

test('a name that a message cannot show gets a placeholder', async () => {
  const cwd = await tempDir()
  await mkdir(join(cwd, 'a\nb'))
  expect(await lineFor(['a\nb'], cwd)).toBe('tar c FOLDER | ess send --name folder.tar')
})

test('the archive tells no folder on the way to a file', async () => {
  const cwd = await folders()
  const elsewhere = await tempDir()
  await writeFile(join(elsewhere, 'copy.pdf'), 'copy')
  const typed = ['photos', '../here/my dir/inner', join(elsewhere, 'copy.pdf')]
  expect(await lineFor(typed, cwd)).toBe(
    `tar c photos -C '${join(cwd, 'my dir')}' inner -C ${elsewhere} copy.pdf | ess send --name files.tar`,
  )
  await expectLine(typed, cwd, 'files.tar', ['photos/inner/file', 'inner/file', 'copy.pdf'])
})

/** What is typed, and the refusal. None of them may give a line that tar can't do. */
const NO_LINE: readonly (readonly [typed: readonly string[], words: string])[] = [
  [['one.txt', 'absent.txt'], 'ess send takes one file, and you named 2, and there is no file absent.txt.'],
  [['absent', 'absent2'], 'ess send takes one file, and you named 2, and there is no file absent.'],
  [
    ['one.txt', '-'],
    'ess send takes one file, and you named 2; - is standard input. Send what is piped in by',
  ],
  [['one.txt', ''], 'The name of a file is empty. Name a file'],
  [[''], 'The name of a file is empty. Name a file'],
]

test.each(NO_LINE)('ess send %j gives none', async (typed, words) => {
  const refused = ess(['send', ...typed], { cwd: await folders() })
  expect(await refused.status).toBe(2)
  expect(refused.stderr()).toContain(words)
  expect(refused.stderr()).not.toContain('tar c')
})
