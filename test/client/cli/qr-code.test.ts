import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { qrCode } from '../../../client/cli/qr-code.js'
import { ESS, runEss } from '../../helpers/run-ess.js'
import { scan, type Theme } from '../../helpers/scan.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { shellInTmux } from '../../helpers/tmux.js'
import { until } from '../../helpers/within.js'

const LINK = 'https://send.example.org/AbCdEfGhIjKl'
const SEALED_LINK = `${LINK}#AGE-SECRET-KEY-1${'QZ'.repeat(29)}`

describe('a QR code', () => {
  test.each([
    ['a link', LINK],
    ['a link with a key', SEALED_LINK],
    ['a long one', `${LINK}/${'a-long-path/'.repeat(20)}`],
  ])('of %s is read back, black on white on every theme', (_what, link) => {
    const drawn = qrCode(link, { columns: 200, rows: 100, isColored: true })
    for (const theme of ['dark', 'light'] as const) expect(scan(drawn, theme)).toBe(link)
  })

  test('without colours is black on white on a dark terminal, and inverted on a light one', () => {
    const drawn = qrCode(LINK, { columns: 80, rows: 24, isColored: false })
    expect(drawn).not.toContain('\u001b')
    expect(scan(drawn, 'dark')).toBe(LINK)
    expect(scan(drawn, 'light', true)).toBe(LINK)
  })

  test.each([
    [37, 37],
    [36, 33],
    [33, 33],
    [undefined, 37],
    [0, 37],
  ])('fits %s columns: it takes %d', (columns, width) => {
    const drawn = qrCode(LINK, { columns, rows: 24, isColored: false })
    const lines = drawn.trimEnd().split('\n')
    expect(new Set(lines.map((line) => line.length))).toEqual(new Set([width]))
    expect(scan(drawn, 'dark')).toBe(LINK)
  })

  test.each([
    [SEALED_LINK, 26, 49],
    [SEALED_LINK, 25, 45],
    [SEALED_LINK, 24, 45],
    [SEALED_LINK, 10, 45],
    [SEALED_LINK, 0, 49],
    [SEALED_LINK, undefined, 49],
    [LINK, 24, 37],
  ])('of %s is whole in %s rows, if that can be: it takes %d columns', (link, rows, width) => {
    const drawn = qrCode(link, { columns: 80, rows, isColored: false })
    expect(drawn.indexOf('\n')).toBe(width)
    expect(scan(drawn, 'dark')).toBe(link)
  })

  test('that finds no room says in one line how much it needs', () => {
    expect(qrCode(LINK, { columns: 32, rows: 24, isColored: true })).toBe(
      'The QR code needs 33 columns,\nand this terminal has 32. Make\nthe window wider, or use the\nlink.\n',
    )
  })
})

/** Sends a file with `--qr` in a real terminal, and scans what is drawn, at this width. */
async function scannedInTmux(
  columns: number,
  theme: Theme,
  env: Readonly<Record<string, string>>,
  flags = '',
) {
  const server = await startServerHere()
  const cwd = await tempDir()
  await writeFile(join(cwd, 'report.pdf'), 'hello')
  const shell = await shellInTmux(cwd, {
    ESS_SERVER: server.url,
    TERM: 'xterm-256color',
    LANG: 'C.UTF-8',
    ...env,
  })
  await shell.resize(columns)
  await shell.type(`clear; '${process.execPath}' '${ESS}' send --qr ${flags} report.pdf > link`)
  await shell.untilScreen(/Waiting for the receiver/)
  const link = await until('the code can be read', async () => scan(await shell.drawn(), theme))
  await shell.press('C-c')
  return { link, base: server.url }
}

describe('ess send --qr', () => {
  test.each([
    [80, 'dark', {}],
    [40, 'light', {}],
    [40, 'dark', { NO_COLOR: '1' }],
  ] as const)(
    'shows a code in %d columns that a phone reads, on a %s theme %j',
    async (columns, theme, env) => {
      const { link, base } = await scannedInTmux(columns, theme, env)
      expect(link).toMatch(new RegExp(`^${base}/[\\w-]{12}$`))
    },
  )

  test('shows the whole code of a sealed link in 80 columns and 24 rows', async () => {
    const { link, base } = await scannedInTmux(80, 'dark', {}, '-e')
    expect(link).toMatch(new RegExp(`^${base}/[\\w-]{12}#AGE-SECRET-KEY-1[A-Z0-9]{58}$`))
  })

  test('says in 40 columns that a sealed link needs more', async () => {
    const server = await startServerHere()
    const cwd = await tempDir()
    await writeFile(join(cwd, 'f'), 'hello')
    const shell = await shellInTmux(cwd, { ESS_SERVER: server.url, TERM: 'xterm-256color', LANG: 'C.UTF-8' })
    await shell.resize(40)
    await shell.type(`clear; '${process.execPath}' '${ESS}' send --qr -e f > link`)
    await shell.untilScreen(/A phone's browser saves the encrypted\nfile\. It takes ess or age to open it\./)
    await shell.untilScreen(/The QR code needs 45 columns, and this\nterminal has 40\. Make the window wider/)
    await shell.press('C-c')
  })

  test.each([[[]], [['--quiet']], [['--json']]])(
    '%j shows it on stderr, without colours, where that is no terminal',
    async (flags) => {
      const server = await startServerHere()
      const sender = await runEss(server.url, ['send', '--text', 'hello', '--qr', ...flags])
      const [link] = await sender.untilStdout(/http:\/\/[\d.]+:\d+\/[\w-]{12}/)
      await sender.untilStderr(/(?:█+\n){2}[\s\S]*(?:█+\n){2}/)
      expect(scan(sender.stderr(), 'dark')).toBe(link)
      const receiver = await runEss(server.url, ['get', link])
      expect((await receiver.ended()).stdout.toString()).toBe('hello')
      expect((await sender.ended()).code).toBe(0)
    },
  )
})
