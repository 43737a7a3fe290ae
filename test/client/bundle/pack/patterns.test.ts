import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { type BundleOptions, bundleSource } from '../../../../client/bundle/pack/bundle-source.js'
import { listed, tarOf } from '../../../helpers/bundles.js'
import { needs } from '../../../helpers/needs.js'
import { plant, type Tree } from '../../../helpers/planted.js'
import { run } from '../../../helpers/run.js'
import { tempDir } from '../../../helpers/temp-dir.js'

const x = { content: 'x' }
const PROJECT: Tree = {
  names: {
    '#backup#': x,
    'app.log': x,
    build: { names: { out: x } },
    docs: { names: { build: { names: { out: x } }, 'a.tmp': x, 'app.log': x } },
    link: { link: 'docs' },
    'read me': x,
    src: { names: { 'a.tmp': x, 'main.ts': x } },
  },
}

async function project(tree: Tree = PROJECT): Promise<string> {
  const path = join(await tempDir(), 'project')
  plant(path, tree)
  return path
}

/** The paths in the tar, without those that all have. */
async function sent(paths: readonly string[], options: BundleOptions): Promise<string[]> {
  return await listed((await tarOf(paths, options)).bytes)
}

const ALL = [
  ...[
    'project/',
    'project/#backup#',
    'project/app.log',
    'project/build/',
    'project/build/out',
    'project/docs/',
  ],
  ...['project/docs/a.tmp', 'project/docs/app.log', 'project/docs/build/', 'project/docs/build/out'],
  ...['project/link', 'project/read me', 'project/src/', 'project/src/a.tmp', 'project/src/main.ts'],
]

describe('exclude leaves out', () => {
  test.each([
    ['nothing', [], []],
    ['a name, wherever it is', ['app.log'], ['app.log', 'docs/app.log']],
    ['what a star matches', ['*.tmp', '*.log'], ['app.log', 'docs/a.tmp', 'docs/app.log', 'src/a.tmp']],
    ['a folder with all that is in it', ['build'], ['build/', 'build/out', 'docs/build/', 'docs/build/out']],
    ['at the top alone', ['/build'], ['build/', 'build/out']],
    ['what is in a path', ['docs/*.tmp'], ['docs/a.tmp']],
    ['at any depth', ['**/build/out'], ['build/out', 'docs/build/out']],
    ['folders alone', ['link/', 'build/'], ['build/', 'build/out', 'docs/build/', 'docs/build/out']],
    ['a link', ['link'], ['link']],
    ['all but what is taken back', ['*.log', '!/docs/app.log'], ['app.log']],
    [
      'nothing of a folder that was left out',
      ['build', '!build/out'],
      ['build/', 'build/out', 'docs/build/', 'docs/build/out'],
    ],
    ['a name with a space, and one with a #', ['read me', '#*#'], ['read me', '#backup#']],
    ['letters in their case', ['APP.LOG'], []],
  ])('%s: %j', async (_what, exclude, out) => {
    const left = ALL.filter((path) => !out.includes(path.replace('project/', '')))
    expect(await sent([await project()], { exclude })).toEqual(left)
  })

  test('what was named, if it was one of several', async () => {
    const path = await project()
    const paths = ['app.log', 'build', 'docs', 'src'].map((name) => join(path, name))
    expect(await sent(paths, { exclude: ['*.log', '*.tmp', '/build'] })).toEqual([
      'docs/',
      'src/',
      'src/main.ts',
    ])
    expect(await sent(paths, { exclude: ['docs/', 'app.log', 'main.ts'] })).toEqual([
      'build/',
      'build/out',
      'src/',
      'src/a.tmp',
    ])
    // What was named alone is meant.
    expect(await sent([join(path, 'build')], { exclude: ['build'] })).toEqual(['build/', 'build/out'])
  })

  test('everything: then there is nothing to send', async () => {
    const path = await project()
    const paths = [join(path, 'docs'), join(path, 'src')]
    await expect(bundleSource(paths, { exclude: ['*'] })).rejects.toMatchObject({
      code: 'usage',
      message: 'There is nothing to send: your patterns leave everything out.',
    })
  })

  test.each([
    ['*', ['*']],
    ['**', ['**']],
    ['all by name', ['*.tmp', 'main.ts']],
  ])(
    'everything in the one folder: %s, and an empty folder is not what was meant',
    async (_what, exclude) => {
      await expect(bundleSource([join(await project(), 'src')], { exclude })).rejects.toMatchObject({
        code: 'usage',
        message: 'There is nothing to send: your patterns leave everything out.',
      })
    },
  )

  test('nothing of a folder that is empty anyway', async () => {
    const path = await project({ names: {} })
    expect(await sent([path], { exclude: ['*'] })).toEqual(['project/'])
  })

  test.each([
    [['*.log', '!/docs/app.log', '*.tmp'], []],
    [['*.lgo', '*.tmp'], ['*.lgo']],
    [['!main.ts'], ['!main.ts']],
    [['['], ['[']],
    [['/'], ['/']],
    [['#backup#', '#other#'], ['#other#']],
  ])('%j: without effect are %j', async (exclude, expected) => {
    const unmatched: string[] = []
    await sent([await project()], { exclude, onUnmatched: (patterns) => unmatched.push(...patterns) })
    expect(unmatched).toEqual(expected)
  })

  test('what is not walked, and may not be readable', async () => {
    const path = await project({ names: { x, dir: { names: { out: { link: '/' } } } } })
    expect(await sent([path], { exclude: ['dir'] })).toEqual(['project/', 'project/x'])
  })
})

describe('gitignore', () => {
  beforeEach((context) => needs(context, 'git'))

  const git = async (cwd: string, ...args: readonly string[]) => {
    const env = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' }
    const { stdout, stderr, code } = await (await run('git', 'git', args, { cwd, env })).ended()
    expect(code, stderr).toBe(0)
    return stdout.toString()
  }

  test('leaves out what git ignores and its own folder, and keeps the files that say so', async () => {
    const path = await project({
      names: {
        '.gitignore': { content: '\ufeff# comment\n*.log\r\n/build/\n!keep.log\n' },
        'a.log': x,
        build: { names: { out: x } },
        'keep.log': x,
        secret: x,
        sub: {
          names: { '.gitignore': { content: '!b.log\nlocal\n' }, 'a.log': x, 'b.log': x, build: x, local: x },
        },
      },
    })
    await git(path, 'init', '-q')
    writeFileSync(join(path, '.git', 'info', 'exclude'), 'secret\n')
    expect(await sent([path], { gitignore: true })).toEqual([
      ...['project/', 'project/.gitignore', 'project/keep.log', 'project/sub/', 'project/sub/.gitignore'],
      ...['project/sub/b.log', 'project/sub/build'],
    ])
    expect(await sent([path], {})).toContain('project/.git/info/exclude')
  })

  test('counts without a repository too, in what is sent', async () => {
    const path = await project({
      names: { '.gitignore': { content: 'a' }, a: x, sub: { names: { a: x, b: x } } },
    })
    expect(await sent([path], { gitignore: true })).toEqual([
      ...['project/', 'project/.gitignore', 'project/sub/', 'project/sub/b'],
    ])
    // Above it only in a repository, because it may be anyone's there.
    expect(await sent([join(path, 'sub')], { gitignore: true })).toEqual(['sub/', 'sub/a', 'sub/b'])
  })

  test('counts above what is sent, up to the top of the repository', async () => {
    const path = await project({
      names: {
        '.gitignore': { content: 'top\n/deep/in/anchored\n' },
        deep: {
          names: {
            '.gitignore': { content: '/in/middle\n' },
            in: {
              names: { anchored: x, kept: x, middle: x, top: x, deeper: { names: { anchored: x, top: x } } },
            },
          },
        },
      },
    })
    await git(path, 'init', '-q')
    plant(join(path, '..', '.gitignore'), { content: 'kept' })
    const left = ['in/', 'in/deeper/', 'in/deeper/anchored', 'in/kept']
    expect(await sent([join(path, 'deep', 'in')], { gitignore: true })).toEqual(left)
    // The same folder by another way.
    symlinkSync(join(path, 'deep', 'in'), join(path, '..', 'other'))
    expect(await sent([join(path, '..', 'other')], { gitignore: true })).toEqual(
      left.map((one) => one.replace('in', 'other')),
    )
    const both = [join(path, 'deep', 'in', 'top'), join(path, 'deep', 'in', 'kept')]
    expect(await sent(both, { gitignore: true })).toEqual(['kept'])
  })

  test('an ignored folder that was named is sent, by the patterns for what is in it', async () => {
    const path = await project({
      names: {
        '.gitignore': { content: 'build/\n*.o\n' },
        build: { names: { 'a.o': x, b: x, c: { names: { d: x } } } },
      },
    })
    await git(path, 'init', '-q')
    expect(await sent([join(path, 'build')], { gitignore: true })).toEqual([
      'build/',
      'build/b',
      'build/c/',
      'build/c/d',
    ])
    expect(await sent([join(path, 'build', 'c')], { gitignore: true })).toEqual(['c/', 'c/d'])
  })

  test('a worktree and a submodule have the patterns of their own repository', async () => {
    const path = await project({ names: { '.gitignore': { content: '*.log' }, 'a.log': x, b: x } })
    await git(path, 'init', '-q')
    await git(path, 'add', '.')
    await git(path, '-c', 'user.name=n', '-c', 'user.email=e', 'commit', '-qm', 'm')
    writeFileSync(join(path, '.git', 'info', 'exclude'), 'secret\n')
    const tree = join(path, '..', 'tree')
    await git(path, 'worktree', 'add', '-q', tree)
    for (const name of ['secret', 'c.log', 'd']) writeFileSync(join(tree, name), 'x')
    expect(await sent([tree], { gitignore: true })).toEqual(['tree/', 'tree/.gitignore', 'tree/b', 'tree/d'])
    // A repository in another one: the outer one's patterns say nothing in it.
    const inner = join(path, 'inner')
    plant(inner, { names: { 'e.log': x, f: x } })
    await git(inner, 'init', '-q')
    writeFileSync(join(inner, '.git', 'info', 'exclude'), 'f\n')
    expect(await sent([path], { gitignore: true })).toEqual([
      ...['project/', 'project/.gitignore', 'project/b', 'project/inner/', 'project/inner/e.log'],
    ])
  })

  test('a .gitignore that is no file is none', async () => {
    const path = await project({
      names: {
        '.gitignore': { names: { x } },
        sub: { names: { '.gitignore': { link: '../x' } } },
        x: { content: 'x' },
      },
    })
    expect(await sent([path], { gitignore: true })).toEqual([
      ...[
        'project/',
        'project/.gitignore/',
        'project/.gitignore/x',
        'project/sub/',
        'project/sub/.gitignore',
        'project/x',
      ],
    ])
  })

  const word = fc.constantFrom('a', 'b', 'ab', 'c.x', 'a?', '[a]', ' a', '!a')
  const pattern = fc
    .tuple(
      fc.constantFrom('', '', '!', '/'),
      fc.array(fc.oneof(word, fc.constantFrom('*', '**', 'a*', '*b', '?', '[ab]', '\\!a', 'a\\?')), {
        minLength: 1,
        maxLength: 3,
      }),
      fc.constantFrom('', '', '/'),
    )
    .map(([before, names, after]) => `${before}${names.join('/')}${after}`)
  const patterns = fc.array(pattern, { maxLength: 4 }).map((lines) => ({ content: lines.join('\n') }))
  const { folder } = fc.letrec<{ folder: Tree; any: Tree }>((tie) => ({
    folder: fc
      .tuple(fc.dictionary(word, tie('any'), { maxKeys: 4, noNullPrototype: true }), fc.option(patterns))
      .map(([names, ignored]) => ({ names: ignored === null ? names : { ...names, '.gitignore': ignored } })),
    any: fc.oneof({ depthSize: 'small', withCrossShrink: true }, fc.constant(x), tie('folder')),
  }))

  test('any patterns in any folders leave out what git leaves out', async () => {
    const repository = await tempDir()
    await git(repository, 'init', '-q', '--bare')
    await fc.assert(
      fc.asyncProperty(folder, async (tree) => {
        const path = await project(tree)
        const place = [`--git-dir=${repository}`, `--work-tree=${path}`]
        const listing = await git(path, ...place, 'ls-files', '-z', '--others', '--exclude-standard')
        const expected = listing.split('\0').slice(0, -1)
        const all = await sent([path], { gitignore: true }).catch((error: unknown) => {
          expect(error).toMatchObject({ message: expect.stringContaining('leave everything out') })
          return []
        })
        // Git knows no folders.
        const files = all.filter((one) => !one.endsWith('/')).map((one) => one.replace('project/', ''))
        expect(files.sort()).toEqual(expected.sort())
      }),
      { numRuns: 60 },
    )
  })
})
