import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { COMMAND_NAMES, rowOf, SHELLS, type Shell } from '../../../client/cli/commands.js'
import { FLAGS } from '../../../client/cli/options.js'
import { ess } from '../../helpers/client-io.js'
import { needs } from '../../helpers/needs.js'
import { run } from '../../helpers/run.js'
import { ESS } from '../../helpers/run-ess.js'
import { ESS_SERVER } from '../../helpers/start-server.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { shellInTmux } from '../../helpers/tmux.js'

const ALL_COMMANDS = COMMAND_NAMES.flatMap((name) => [name, ...rowOf(name).aliases])

async function script(shell: Shell): Promise<string> {
  const printed = ess(['completion', shell])
  expect(await printed.status).toBe(0)
  expect(printed.stderr()).toBe('')
  return printed.stdout()
}

/** A folder with files to complete, the script of each shell, and both commands in `bin`. */
async function place(): Promise<{ cwd: string; scripts: string; PATH: string }> {
  const folder = await tempDir()
  const cwd = join(folder, 'here')
  await mkdir(join(cwd, 'my dir'), { recursive: true })
  await writeFile(join(cwd, 'report.pdf'), '')
  await mkdir(join(folder, 'bin'))
  await symlink(ESS, join(folder, 'bin', 'ess'))
  await symlink(ESS_SERVER, join(folder, 'bin', 'ess-server'))
  for (const shell of SHELLS) await writeFile(join(folder, shell), await script(shell))
  return { cwd, scripts: folder, PATH: `${join(folder, 'bin')}:${process.env['PATH']}` }
}

/** What Tab offers after these words, in bash and in fish. */
const OFFERS: readonly (readonly [typed: readonly string[], offers: readonly string[]])[] = [
  [['ess', ''], ALL_COMMANDS],
  [['ess', 's'], ['send']],
  [['ess', 're'], ['receive']],
  [['ess', '--server', 'h', 'g'], ['get']],
  [
    ['ess', 'send', ''],
    ['my dir', 'report.pdf'],
  ],
  [['ess', 'send', '--ttl', ''], []],
  [['ess', 'send', '--token-file', 'rep'], ['report.pdf']],
  [['ess', 'send', '--', 'rep'], ['report.pdf']],
  [['ess', 'send', 'report.pdf', 'my'], ['my dir']],
  [['ess', 'send', '--exclude', ''], []],
  [['ess', 'send', '--to', ''], []],
  [['ess', 'send', '--no-e'], ['--no-encrypt']],
  [['ess', 'get', ''], []],
  [['ess', 'get', 'ID', '-i', 'rep'], ['report.pdf']],
  [['ess', 'get', 'ID', '-i', 'k', '--identity', 'rep'], ['report.pdf']],
  [['ess', 'get', '--server', ''], []],
  [
    ['ess', 'get', 'ID', '-o', ''],
    ['my dir', 'report.pdf'],
  ],
  [['ess', 'receive', 'ID', '--wa'], ['--wait']],
  [['ess', 'help', ''], ALL_COMMANDS],
  [['ess', 'completion', ''], SHELLS],
  [['ess-server', '--adm'], ['--admin']],
  [
    ['ess-server', '--log', ''],
    ['json', 'off', 'text'],
  ],
  [['ess-server', '--send-tokens', 'rep'], ['report.pdf']],
  [['ess-server', '--port', ''], []],
  [['ess-server', 'rep'], []],
]

describe('bash', () => {
  beforeEach((context) => needs(context, 'bash'))

  /** The function that completes, called as readline calls it. */
  const CALL = `. "$0"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
$(complete -p "$1" | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
printf '%s\\n' "\${COMPREPLY[@]}"`

  async function offers(typed: readonly string[]): Promise<string[]> {
    const { cwd, scripts, PATH } = await place()
    const args = ['--norc', '-c', CALL, join(scripts, 'bash'), ...typed]
    const { code, stdout, stderr } = await (await run('bash', 'bash', args, { cwd, env: { PATH } })).ended()
    expect([code, stderr]).toEqual([0, ''])
    return stdout
      .toString()
      .split('\n')
      .filter((line) => line !== '')
      .sort()
  }

  test.each(OFFERS)('completes %j', async (typed, expected) => {
    expect(await offers(typed)).toEqual([...expected].sort())
  })

  test.each(['send', 'get'] as const)('offers every flag of %s, and no other', async (name) => {
    const own = FLAGS.filter(({ of }) => of.some((one) => one === name)).map(({ flag }) => `--${flag}`)
    expect(await offers(['ess', name, '--'])).toEqual([...own, '--help', '--version'].sort())
  })

  // Readline cuts words at : and =, as COMP_WORDBREAKS says.
  test.each([
    [['ess', '--server', 'http', ':', '//h', ':', '1', 'send', 'rep'], ['report.pdf']],
    [['ess', '--server', '=', 'http', ':', '//h', ':', '1', 's'], ['send']],
    [['ess', 'get', 'ID', '--output', '=', 'rep'], ['report.pdf']],
    [['ess', 'get', 'ID', '--server', '=', 'rep'], []],
    [
      ['ess-server', '--log', '='],
      ['json', 'off', 'text'],
    ],
    [['ess-server', '--log', '=', 'j'], ['json']],
  ])('completes %j, as readline cuts it', async (typed, expected) => {
    expect(await offers(typed)).toEqual(expected)
  })

  test('completes a name with a line end as one', async (context) => {
    needs(context, 'tmux')
    const { cwd, PATH } = await place()
    await writeFile(join(cwd, 'two\nlines'), '')
    const shell = await shellInTmux(cwd, { PATH })
    await shell.type('eval "$(ess completion bash)"; ess() { echo "$# words"; }; echo rea""dy')
    await shell.untilScreen(/^ready\n\$$/m)
    await shell.press('ess --server http://h:1 send tw')
    await shell.press('Tab')
    await shell.untilScreen(/send .*lines/ms)
    await shell.press('Enter')
    await shell.untilScreen(/^4 words$/m)
  })

  test('completes what is typed in a real terminal, and quotes what needs it', async (context) => {
    needs(context, 'tmux')
    const { cwd, PATH } = await place()
    const shell = await shellInTmux(cwd, { PATH })
    await shell.type('eval "$(ess completion bash)" && echo rea""dy')
    await shell.untilScreen(/^ready\n\$$/m)
    await shell.press('ess rec')
    await shell.press('Tab')
    await shell.untilScreen(/^\$ ess receive$/m)
    await shell.press('C-u')
    await shell.press('ess send my')
    await shell.press('Tab')
    await shell.untilScreen(/^\$ ess send my\\ dir\/$/m)
  })

  test('has a script in which shellcheck finds nothing', async (context) => {
    needs(context, 'shellcheck')
    const { scripts } = await place()
    const args = ['--shell=bash', '--severity=style', join(scripts, 'bash')]
    expect(await (await run('shellcheck', 'shellcheck', args)).ended()).toMatchObject({ code: 0, stderr: '' })
  })
})

describe('fish', () => {
  beforeEach((context) => needs(context, 'fish'))

  test.each(OFFERS)('completes %j', async (typed, expected) => {
    const { cwd, scripts, PATH } = await place()
    const line = typed.join(' ')
    const args = ['--no-config', '-c', 'source $argv[1]; complete -C $argv[2]', join(scripts, 'fish'), line]
    const program = await run('fish', 'fish', args, { cwd, env: { PATH, HOME: cwd } })
    const { code, stdout, stderr } = await program.ended()
    expect([code, stderr]).toEqual([0, ''])
    const offered = stdout
      .toString()
      .split('\n')
      .map((one) => one.replace(/\t.*$|\/$/g, ''))
    const visible = offered.filter((one) => one !== '' && !one.startsWith('.'))
    expect(visible.sort()).toEqual([...expected].sort())
  })
})

describe('zsh', () => {
  test('completes commands, flags, files and shells', async (context) => {
    needs(context, 'zsh', 'tmux')
    const { cwd, PATH } = await place()
    const shell = await shellInTmux(cwd, { PATH, PS1: '$ ' })
    await shell.type('exec zsh -f')
    await shell.type(
      "PS1='%% '; autoload -Uz compinit; compinit -u -D; eval \"$(ess completion zsh)\" && echo rea''dy",
    )
    await shell.untilScreen(/^ready\n%$/m)
    for (const [typed, screen] of [
      ['ess rec', /^% ess receive$/m],
      ['ess --server h g', /^% ess --server h get$/m],
      ['ess send rep', /^% ess send report\.pdf$/m],
      ['ess send --tok', /^% ess send --token-file$|^% ess send --token-file=$/m],
      ['ess send report.pdf my', /^% ess send report\.pdf my\\ dir\/$/m],
      ['ess send --no-e', /^% ess send --no-encrypt$/m],
      ['ess get ID -i report.pdf --ide', /^% ess get ID -i report\.pdf --identity=$/m],
      ['ess get ID -o my', /^% ess get ID -o my\\ dir\/$/m],
      ['ess receive ID --wa', /^% ess receive ID --wait=$/m],
      ['ess help c', /^% ess help completion$/m],
      ['ess completion z', /^% ess completion zsh$/m],
      ['ess-server --adm', /^% ess-server --admin$/m],
      ['ess-server --log j', /^% ess-server --log json$/m],
      ['ess-server --log=j', /^% ess-server --log=json$/m],
      ['ess-server --send-tokens rep', /^% ess-server --send-tokens report\.pdf$/m],
    ] as const) {
      await shell.press(typed)
      await shell.press('Tab')
      await shell.untilScreen(screen)
      await shell.press('C-u')
    }
  })
})
