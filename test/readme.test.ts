import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readConfig } from '../client/cli/config.js'
import { ROUTES } from '../shared/index.js'
import { bytesOf } from './helpers/bytes.js'
import { type Block, code, fencedBlocks, readPage, tableOf } from './helpers/markdown.js'
import { needs } from './helpers/needs.js'
import { type Program, run } from './helpers/run.js'
import { ESS_SERVER } from './helpers/start-server.js'
import { tempDir } from './helpers/temp-dir.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/*
 * Every block of the README and of the manuals is run, from top to bottom, as a reader would. The words after the
 * fence say how:
 *
 *   sh            runs to its end
 *   sh server     starts a server; the first one is the one that the other blocks speak to
 *   sh sender     starts a sender, in a folder that holds report.pdf, notes.txt and photos/
 *   sh receiver   runs to its end, and so must the sender; what it wrote is compared. All of them run in one folder,
 *                 so that no block meets a file that the block before left there and that it doesn't overwrite. An
 *                 `ess get` without `-o` and without a pipe runs on a terminal: there it picks the name itself, and
 *                 prints what was sent with --text
 *   sh link       installs the commands, in a folder of the test's. A page without such a block finds them on the PATH
 *   sh client     gets the client from the server, with no package in the cache: each line is run, and what it sends is
 *                 received
 *   sh project    is not run: `npm ci` would remove what runs this test, and `npm test` would run it again.
 *                 .ci/run runs these on a clean clone, and this test looks that it does
 *   json config   is a configuration file that `ess` takes
 *   text          is what the block before it prints
 *
 * Three things differ from a reader's terminal: servers take a free port (by ESS_PORT and ESS_SERVER); `LINK` stands for
 * the link that the last sender printed, `ID` for its id and `KEY` for its fragment; and curl is told -N, because it
 * writes into a pipe.
 */
test.for(['README.md', 'docs/bundles.md', 'docs/cli.md', 'docs/security.md', 'docs/server.md'])(
  'every block of %s does what it says',
  async (path, context) => {
    needs(context, 'curl', 'script', 'tar')
    const blocks = fencedBlocks(await readPage(path))
    if (blocks.some(({ info, text }) => info.startsWith('sh ') && /\bage\b/.test(text))) needs(context, 'age')
    const reader = await newReader()
    if (!blocks.some(({ info }) => info === 'sh link')) await reader.haveCommands()
    for (const block of blocks) await reader.follow(block)
    await reader.finish()
  },
)

test('the README is one page', async () => {
  expect((await readPage('README.md')).trimEnd().split('\n').length).toBeLessThanOrEqual(150)
})

interface Reader {
  /** Puts the built commands on the reader's PATH. */
  haveCommands(): Promise<void>
  follow(block: Block): Promise<void>
  finish(): Promise<void>
}

async function newReader(): Promise<Reader> {
  const folder = await tempDir()
  const here = join(folder, 'here')
  const there = join(folder, 'there')
  const shims = join(folder, 'shims')
  const prefix = join(folder, 'prefix')
  for (const path of [shims, there, join(here, 'photos')]) await mkdir(path, { recursive: true })
  // copy.pdf is the report under another name, which a receiver gives it.
  for (const name of ['report.pdf', 'copy.pdf']) await writeFile(join(here, name), bytesOf(2_400_000))
  await writeFile(join(here, 'photos', 'one.jpg'), bytesOf(100_000, 2))
  await writeFile(join(here, 'photos', 'two.jpg'), bytesOf(300_000, 3))
  await writeFile(join(here, 'notes.txt'), 'Bring the umbrella.\n')
  const curl = await run('which curl', 'bash', ['-c', 'command -v curl'])
  const curlPath = (await curl.ended()).stdout.toString().trim()
  await writeFile(join(shims, 'curl'), `#!/bin/sh\nexec "${curlPath}" -q -N "$@"\n`)
  await chmod(join(shims, 'curl'), 0o755)
  const path = [shims, join(prefix, 'bin'), dirname(process.execPath), process.env['PATH']].join(delimiter)

  let server: { program: Program; url: string } | undefined
  let sender: { program: Program; url: string; id: string; expected?: string; words?: string } | undefined
  let id = ''
  let link = ''
  let printed: string | undefined

  function substitute(text: string): string {
    const words: Readonly<Record<string, string>> = { LINK: link, ID: id, KEY: link.split('#')[1] ?? '' }
    return text
      .replaceAll('http://127.0.0.1:9000', server?.url ?? '')
      .replace(/\b(?:LINK|ID|KEY)\b/g, (word) => words[word] ?? word)
  }

  function asPrinted(text: string): string {
    return text.replaceAll(server?.url ?? '', 'http://127.0.0.1:9000').replaceAll(id, 'ID')
  }

  function start({ line, text }: Block, cwd: string, shell = 'set -euo pipefail'): Promise<Program> {
    const script = `${shell}\n${substitute(text)}`
    const picksName = /^ess get (?!.*(?: -o\b|\|))/m.test(text)
    const [program, args] = picksName ? ['script', ['-qec', script, '/dev/null']] : ['bash', ['-c', script]]
    return run(`the block in line ${line}`, program, args, {
      cwd,
      env: {
        PATH: path,
        SHELL: '/bin/bash',
        ESS_PORT: '0',
        ESS_SERVER: server?.url,
        npm_config_prefix: prefix,
      },
    })
  }

  const kinds: Readonly<Record<string, (block: Block) => Promise<void>>> = {
    sh: async (block) => {
      const program = await start(block, here, 'set -euo pipefail; exec 2>&1')
      const { code, stdout } = await program.ended()
      expect(code, `line ${block.line}: ${stdout}`).toBe(0)
      printed = asPrinted(stdout.toString())
    },

    'sh server': async (block) => {
      // In place of the shell, so that it gets the signal.
      const program = await start({ ...block, text: `exec ${block.text}` }, here)
      const [, url = ''] = await program.untilStdout(/^listening on (http\S+)\n/)
      if (server === undefined) server = { program, url }
      else await stop(program)
    },

    'sh sender': async (block) => {
      expect(sender, 'the sender before has its receiver').toBeUndefined()
      // A reader may pipe it, and is told nothing here to make up for that.
      if (/\bcurl /.test(block.text)) expect(block.text, `line ${block.line}`).toMatch(/\bcurl -N/)
      const program = await start(block, here)
      // With --json the first line is an event that holds the link.
      const [, url = ''] = await program.untilStdout(/^(?:\{.*"url":")?(http[^\s"]+).*\n/)
      id = new URL(url).pathname.split('/')[1] ?? ''
      link = url
      const [, words] = /--text (.+)/.exec(block.text) ?? []
      sender = { program, url, id, ...(words !== undefined && { words }) }
    },

    'sh receiver': async (block) => {
      if (sender === undefined) throw new Error(`The receiver in line ${block.line} has no sender`)
      const { program, expected, words } = sender
      const receiver = await (await start(block, there)).ended()
      // A terminal has one stream.
      const told = `${receiver.stderr}${receiver.stdout.subarray(0, 2000)}`
      expect(receiver.code, `line ${block.line}, the receiver: ${told}`).toBe(0)
      const sent = await program.ended()
      expect(sent.code, `line ${block.line}, its sender: ${sent.stderr}`).toBe(0)
      if (expected !== undefined) expect(asPrinted(sent.stdout.toString())).toBe(expected)
      if (words === undefined) await expectSameFiles(there, here)
      else expect(receiver.stdout.toString()).toContain(words)
      sender = undefined
    },

    'sh link': async (block) => {
      const { code, stderr } = await (await start(block, ROOT)).ended()
      expect(code, `line ${block.line}: ${stderr}`).toBe(0)
      expect(await readdir(join(prefix, 'bin'))).toEqual(['ess', 'ess-server'])
    },

    'sh client': async ({ line, text }) => {
      if (server === undefined) throw new Error(`Line ${line}: there is no server that serves the client`)
      const { url } = server
      await writeFile(join(here, 'file.iso'), bytesOf(500_000, 4))
      for (const [index, command] of text.trim().split('\n').entries()) {
        // From any other URL, npx runs what it once got from there.
        if (command.startsWith('npx ')) expect(command).toContain(ROUTES.clientPackageOfVersion)
        const empty = join(folder, `npm-${line}-${index}`)
        const program = await run(
          `line ${line + 1 + index}`,
          'bash',
          ['-c', command.replace('https://send.example.org', url)],
          {
            cwd: here,
            env: {
              // Without the commands that another block has installed.
              PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
              ESS_SERVER: url,
              npm_config_cache: join(empty, 'cache'),
              npm_config_prefix: join(empty, 'prefix'),
              npm_config_update_notifier: 'false',
              // npx asks a reader, who answers y.
              npm_config_yes: 'true',
            },
          },
        )
        if (command.includes(' send ')) {
          const [, link = ''] = await program.untilStdout(/^(http\S+)\n/)
          const received = Buffer.from(await (await fetch(link)).arrayBuffer())
          expect(received.equals(await readFile(join(here, 'file.iso'))), command).toBe(true)
        }
        const { code, stderr } = await program.ended()
        expect(code, `${command}: ${stderr}`).toBe(0)
        if (/\binstall|\bi\b/.test(command))
          expect(await readdir(join(empty, 'prefix', 'bin'))).toEqual(['ess'])
      }
    },

    'sh project': async ({ text }) => {
      const { scripts } = JSON.parse(await readPage('package.json')) as { scripts: Record<string, string> }
      const ci = await readPage('.ci/run')
      for (const command of text.trim().split(' && ')) {
        expect(ci, 'CI runs it').toMatch(
          new RegExp(`^(?:plain|suite) .*${command}(?: --)?(?: \\|\\| .*)?$`, 'm'),
        )
        const [, script] = /^npm (?:run )?(\S+)$/.exec(command) ?? []
        if (script !== 'ci') expect(Object.keys(scripts)).toContain(script)
      }
    },

    'json config': async ({ text }) => {
      await mkdir(join(folder, 'ess'))
      await writeFile(join(folder, 'ess', 'config.json'), text)
      const { config, trouble } = await readConfig({ XDG_CONFIG_HOME: folder })
      expect(trouble).toBeUndefined()
      expect(config).toMatchObject({
        server: 'https://send.example.org',
        tokenFile: join(folder, 'ess', 'token'),
      })
    },

    text: async ({ line, text }) => {
      if (sender !== undefined) sender.expected = text
      else if (printed !== undefined) expect(printed).toBe(text)
      else throw new Error(`Nothing printed what stands in line ${line}`)
      printed = undefined
    },
  }

  return {
    haveCommands: async () => {
      await mkdir(join(prefix, 'bin'), { recursive: true })
      const { bin } = JSON.parse(await readPage('package.json')) as { bin: Record<string, string> }
      for (const [name, path] of Object.entries(bin))
        await symlink(join(ROOT, path), join(prefix, 'bin', name))
    },
    follow: async (block) => {
      const kind = kinds[block.info]
      if (kind === undefined)
        throw new Error(`Line ${block.line}: this test runs no blocks of "${block.info}"`)
      await kind(block)
    },
    finish: async () => {
      expect(sender, 'every sender has its receiver').toBeUndefined()
      if (server === undefined) throw new Error('The page starts no server')
      await stop(server.program)
    },
  }
}

async function stop(program: Program): Promise<void> {
  program.kill('SIGTERM')
  const { code, stderr } = await program.ended()
  expect(code, stderr).toBe(0)
}

const COMPARED = 'of an earlier block'

/**
 * What the receiver wrote is what the sender has under the same name. There is something. Each file stays, with other
 * content, so that the next block finds it there.
 */
async function expectSameFiles(received: string, sent: string): Promise<void> {
  const entries = await readdir(received, { recursive: true, withFileTypes: true })
  let written = 0
  for (const { parentPath, name } of entries.filter((entry) => entry.isFile())) {
    const path = join(parentPath, name)
    const bytes = await readFile(path)
    if (bytes.equals(Buffer.from(COMPARED))) continue
    written++
    const original = join(sent, path.slice(received.length))
    expect(bytes.equals(await readFile(original)), path).toBe(true)
    await writeFile(path, COMPARED)
  }
  expect(written).toBeGreaterThan(0)
}

describe('the option tables of the manuals are what --help says', () => {
  test('ess-server', async () => {
    const options = await helpOfServer()
    const { rows } = tableOf(await readPage('docs/server.md'), '`ess-server`')
    const expected = options.map(({ names, fallback, words, choices }) => [
      `\`${names}\``,
      `\`ESS_${names.replace('--', '').toUpperCase().replaceAll('-', '_')}\``,
      fallback,
      choices === '' ? words : `${words} (${choices})`,
    ])
    // --help groups them by purpose.
    expect(rows.toSorted()).toEqual(expected.toSorted())
  })

  test('ess', async () => {
    const commands = ['send', 'get', 'doctor']
    const helps = await Promise.all(commands.map((command) => helpOf('client', command)))
    const { rows } = tableOf(await readPage('docs/cli.md'), '`ess`')
    const all = new Map(helps.flat().map((option) => [option.names, option]))
    const expected = [...all.values()]
      .map((option) => {
        const of = commands.filter((_command, index) =>
          helps[index]?.some(({ names }) => names === option.names),
        )
        return {
          ...option,
          command: of.length === commands.length ? 'all' : of.map((command) => `\`${command}\``).join(', '),
        }
      })
      .map(({ names, command, variable, fallback, words }) => [
        names.replace(/\S+?(?=,|$)/g, '`$&`'),
        command,
        variable === '' ? '' : `\`${variable}\``,
        fallback,
        words,
      ])
    expect(sorted(rows)).toEqual(sorted(expected))
    for (const [names = ''] of rows) expect(code(names.split(', ').at(-1) ?? '')).toMatch(/^--/)
  })
})

/** The table of both commands is in the order of its groups, and each command's help has its own. */
function sorted(rows: readonly (readonly string[])[]): readonly (readonly string[])[] {
  return [...rows].sort(([one = ''], [other = '']) => one.localeCompare(other))
}

/** An option as --help tells it; what is not said is empty. */
interface Option {
  /** Such as `-o, --output`. */
  readonly names: string
  readonly words: string
  readonly variable: string
  readonly fallback: string
  readonly choices: string
}

/** The options of `ess-server`. Its switches that are off don't say so. */
async function helpOfServer(): Promise<Option[]> {
  const program = await run('ess-server --help', process.execPath, [ESS_SERVER, '--help'])
  const { stdout } = await program.ended()
  const lines = stdout.toString().replace(/\n {6,}/g, ' ')
  return [...lines.matchAll(/^ {2}(--[\w-]+)(?: ([A-Z:]+|[\w.]+(?:\|[\w.]+)+))? +(.*)$/gm)].map(
    ([, names = '', value = '', text = '']) => ({
      names,
      words: text.replace(/ ?\[default: [^\]]*\]/, '').replace(/ +/g, ' '),
      variable: '',
      fallback: /\[default: ([^\]]*)\]/.exec(text)?.[1] ?? (value === '' ? 'false' : ''),
      choices: value.includes('|') ? value.replaceAll('|', ', ').replace(/[\w.]+/g, '`$&`') : '',
    }),
  )
}

/** The options of a command, without those that every command has. */
async function helpOf(side: 'server' | 'client', ...command: string[]): Promise<Option[]> {
  const main = join(ROOT, 'dist', side, 'main.js')
  const program = await run(`${side} --help`, process.execPath, [main, ...command, '--help'])
  const { code, stdout } = await program.ended()
  expect(code).toBe(0)
  // Their lines are indented, and so is what goes on in another line; a heading isn't.
  const list = [...stdout.toString().matchAll(/^ {2,6}-.*(?:\n {7,}.*)*/gm)].map(([entry]) => entry)
  const options = list.map((entry) => {
    const [, names = '', wrapped = ''] = /^ +((?:-\w, )?--[\w-]+)(?: [A-Z]\S*)?\s{2,}(.*)$/s.exec(entry) ?? []
    const text = wrapped.replace(/\s+/g, ' ')
    const said = (name: string) =>
      new RegExp(`\\[${name}: ([^\\]]*)\\]`).exec(text)?.[1]?.replaceAll('"', '') ?? ''
    return {
      names,
      words: text.replace(/ ?\[[^\]]*\]/g, ''),
      variable: said('env'),
      fallback: said('default'),
      choices: said('choices').replace(/[\w.]+/g, '`$&`'),
    }
  })
  return options.filter(({ names }) => !/--(?:help|version)$/.test(names))
}
