import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseArguments } from '../../../client/cli/arguments.js'
import { COMMAND_NAMES } from '../../../client/cli/commands.js'
import { EssError } from '../../../shared/index.js'
import { ess } from '../../helpers/client-io.js'
import { tempDir } from '../../helpers/temp-dir.js'

const ID = 'AbCdEfGhIjKl'
const ADDRESS = 'Write an address such as https://send.example.org or 192.168.1.5:9000.'
const PASTE = `Paste the link that the sender printed, such as https://send.example.org/${ID}, or its id of 12 characters.`

/** Wrong command lines, in a folder that has report.pdf, "my file.pdf" and photos/; and what `ess` says of each. */
const USAGE: readonly (readonly [argv: readonly string[], message: string])[] = [
  [['fetch'], 'There is no command fetch. Did you mean ess get?'],
  [['snd', 'report.pdf'], 'There is no command snd. Did you mean ess send?'],
  [['recieve', ID], 'There is no command recieve. Did you mean ess receive?'],
  [['put', 'f'], 'There is no command put. Did you mean ess send?'],
  [['upload', 'f'], 'There is no command upload. Did you mean ess send?'],
  [['download', ID], 'There is no command download. Did you mean ess get?'],
  [['gat', ID], 'There is no command gat. Did you mean ess get?'],
  [['pet', ID], 'There is no command pet. Did you mean ess get?'],
  [['rot', ID], `There is no command rot. The commands are ${COMMAND_NAMES.join(', ')}.`],
  [[''], `The name of the command is empty. The commands are ${COMMAND_NAMES.join(', ')}.`],
  [[' '], 'The name of the command is empty. The commands are '],
  [['help', ''], 'The name of the command is empty. The commands are '],
  [['SEND', 'f'], 'There is no command SEND. Did you mean ess send?'],
  [['version'], 'There is no command version. Did you mean ess --version?'],
  [['frobnicate'], `There is no command frobnicate. The commands are ${COMMAND_NAMES.join(', ')}.`],
  [['help', 'sned'], 'There is no command sned. Did you mean ess help send?'],
  [['help', 'send', 'get'], 'ess help explains one command at a time, not 2. Run ess help send, and so on.'],
  [['report.pdf'], 'report.pdf is a file, not a command. To send it, run ess send report.pdf'],
  [['my file.pdf'], "my file.pdf is a file, not a command. To send it, run ess send 'my file.pdf'"],
  [['photos'], 'photos is a folder, not a command. To send it, run ess send photos'],
  [
    [`https://h.example/${ID}/f`],
    `https://h.example/${ID}/f is a link, not a command. To receive it, run ess get https://h.example/${ID}/f`,
  ],
  [
    [`h.example/${ID}`],
    `h.example/${ID} is a link, not a command. To receive it, run ess get h.example/${ID}`,
  ],
  [['completionss'], 'There is no command completionss. Did you mean ess completion?'],
  [[ID], `${ID} is a link, not a command. To receive it, run ess get ${ID}`],
  [['send', 'f', '--tll', '10m'], 'There is no option --tll. Did you mean --ttl?'],
  [['send', 'f', '--serv=h'], 'There is no option --serv. Did you mean --server?'],
  [['get', ID, '--out', 'f'], 'There is no option --out. Did you mean --output?'],
  [['send', '--out', 'f'], 'There is no option --out. Run ess send --help for all options.'],
  [['--out', 'f'], 'There is no option --out. Did you mean --output?'],
  [['send', 'f', '--time', '9'], 'There is no option --time. Run ess send --help for all options.'],
  [['get', ID, '--nam', 'f'], 'There is no option --nam. Run ess get --help for all options.'],
  [['get', ID, '-o', 'a', '-o', 'b'], '--output was given more than once. Give it once.'],
  [['get', ID, '-o', 'a', '--output=a'], '--output was given more than once. Give it once.'],
  [['send', 'f', '--name', 'a', '--name', 'b'], '--name was given more than once. Give it once.'],
  [['send', 'f', '-q', '--quiet'], '--quiet was given more than once. Give it once.'],
  [['send', 'f', '--json=false'], '--json takes no value. Write --json alone.'],
  [['send', 'f', '--reserve=true'], '--reserve takes no value. Write --reserve alone.'],
  [['doctor', 'foo', 'bar'], 'ess doctor examines one server, and you named 2. Run it once for each.'],
  [['send', 'f', '--TTL', '9'], 'There is no option --TTL. Did you mean --ttl?'],
  [['send', 'f', '--frobnicate'], 'There is no option --frobnicate. Run ess send --help for all options.'],
  [['send', 'f', '-x'], 'There is no option -x. Run ess send --help for all options.'],
  [['get', ID, '-force'], 'There is no option -force. Did you mean --force?'],
  [['get', ID, '-output', 'f'], 'There is no option -output. Did you mean --output?'],
  [['send', 'f', '—name', 'x'], '—name begins with a dash from a word processor. Type it again: --name.'],
  [
    ['send', 'f', '--wait', '3'],
    '--wait is an option of ess get, not of ess send. Run ess send --help for its options.',
  ],
  [['send', 'f', '--ttl'], '--ttl needs a value. Write --ttl TIME.'],
  [['get', ID, '-o', '--force'], '-o needs a value, and --force is another option. Write -o FILE.'],
  [['send', 'f', '--quiet=maybe'], '--quiet takes no value. Write --quiet alone.'],
  [['send', 'f', '--ttl', 'soon'], `--ttl can't be "soon". Write seconds or add units: --ttl 90, --ttl 10m`],
  [['send', 'f', '--ttl', '1h30'], `--ttl can't be "1h30". Write seconds or add units: --ttl 90, --ttl 10m`],
  [['send', 'f', '--ttl', '0'], '--ttl must be more than 0. Write seconds or add units: '],
  [['get', ID, '--wait=-1'], `--wait can't be "-1". Write seconds or add units: --wait 90, --wait 10m`],
  [['get', ID, '--wait', ''], `--wait can't be "". Write seconds or add units: `],
  [
    ['send', 'f', '--server', 'ftp://h'],
    `--server is "ftp://h", but ess speaks http and https, not ftp. ${ADDRESS}`,
  ],
  [
    ['send', 'f', '--server', 'http:/h'],
    `--server is "http:/h", which lacks a slash: it begins with http:// or https://. ${ADDRESS}`,
  ],
  [['send', 'f', '--server', 'https://'], `--server is "https://", which names no server. ${ADDRESS}`],
  [['send', 'f', '--server', 'h:port'], `--server is "h:port", which is no address of a server. ${ADDRESS}`],
  [
    ['send', 'f', '--server', 'http://h/?a'],
    `--server is "http://h/?a". The address of a server has no ? and no #. ${ADDRESS}`,
  ],
  [['get', ID, '--server', ''], `--server is empty. ${ADDRESS}`],
  [['send', 'f', '--server', 'ftp://me:secret@h'], '--server is "ftp://h"'],
  [
    ['send', 'f', '--name', '../'],
    `"../" can't be a file name. Give --name one without a folder, such as --name photos.tar.`,
  ],
  [['send', 'my', 'file.pdf'], "my file.pdf has a space in its name. Quote it: ess send 'my file.pdf'"],
  [
    ['send', 'report.pdf', '-'],
    '- is standard input, which is sent by itself: ess send -. Or put it into a file',
  ],
  [['send', 'report.pdf', ''], 'The name of a file is empty. Name a file, as in ess send report.pdf'],
  [
    ['send', 'report.pdf', `https://h.example/${ID}`],
    `https://h.example/${ID} is a link, not a file. To receive it, run ess get https://h.example/${ID}`,
  ],
  [
    ['send', 'f', '-e', '--no-encrypt'],
    '--encrypt and --no-encrypt contradict each other. Give one of them.',
  ],
  [['send', 'f', '-e', '-e'], '--encrypt was given more than once. Give it once.'],
  [['send', 'f', '--no-encrypt', '--no-encrypt'], '--no-encrypt was given more than once. Give it once.'],
  [
    ['send', 'f', '--no-encrypt', '--to', 'age1x'],
    "--no-encrypt and --to don't go together: --to encrypts. Leave out one of them.",
  ],
  [
    ['send', 'f', '--no-encrypt', '--password'],
    "--no-encrypt and --password don't go together: --password encrypts. Leave out one of them.",
  ],
  [
    ['send', 'f', '--to', 'age1x', '--password'],
    "--to and --password don't go together: it is for keys or for a password, and not for both.",
  ],
  [
    ['send', 'f', '--to-file', 'k', '--password'],
    "--to-file and --password don't go together: it is for keys or for a password, and not for both.",
  ],
  [
    ['send', '--text', 'a', '--exclude', 'b'],
    "--text and --exclude don't go together: a text is no folder. Leave out one of them.",
  ],
  [['send', 'f', '--to', ''], 'The value of --to is empty. Write --to RECIPIENT.'],
  [['send', 'f', '--to'], '--to needs a value. Write --to RECIPIENT.'],
  [['get', ID, '--encrypt'], '--encrypt is an option of ess send, not of ess get. Run ess get --help'],
  [['get', ID, '--no-encrypt'], '--no-encrypt is an option of ess send, not of ess get. Run ess get --help'],
  [['get', ID, '-e'], '--encrypt is an option of ess send, not of ess get. Run ess get --help'],
  [['send', 'f', '-i', 'k'], '--identity is an option of ess get, not of ess send. Run ess send --help'],
  [['send', 'f', '--no-encrypt=true'], '--no-encrypt takes no value. Write --no-encrypt alone.'],
  [['send', 'f', '--no-encryption'], 'There is no option --no-encryption. Did you mean --no-encrypt?'],
  [['send', 'f', '--follow'], 'There is no option --follow. Run ess send --help for all options.'],
  [['get'], 'ess get needs a link. Paste the one that the sender printed: ess get LINK'],
  [['get', ID, 'BbCdEfGhIjKl'], 'ess get takes one link, and you gave 2.'],
  [['get', 'short'], `"short" is no link. ${PASTE}`],
  [['get', 'AbCdEfGhIjK'], `"AbCdEfGhIjK" has 11 characters, and an id has 12. ${PASTE}`],
  [['get', ''], `The link is empty. ${PASTE}`],
  [
    ['get', 'https://me:secret@h.example/'],
    `https://h.example/ is a server's address. A link also has an id. ${PASTE}`,
  ],
  [['get', 'no link in it#key'], `"no link in it" is no link. ${PASTE}`],
  [['get', 'report.pdf'], 'report.pdf is a file here, not a link. To send it, run ess send report.pdf'],
  [
    ['get', ID, '-o', ''],
    'The value of --output is empty. Write --output FILE, or --output - for standard output.',
  ],
  [
    ['completion'],
    'ess completion needs the name of a shell. Run ess completion bash, or ess completion zsh,',
  ],
  [['completion', 'tcsh'], 'ess completion knows no shell tcsh. Run ess completion bash, or'],
]

async function folder(): Promise<string> {
  const cwd = await tempDir()
  for (const name of ['report.pdf', 'my file.pdf']) await writeFile(join(cwd, name), 'hello')
  await mkdir(join(cwd, 'photos'))
  return cwd
}

test.each(USAGE)('ess %j says what is wrong and what to type', async (argv, message) => {
  const run = ess(argv, { cwd: await folder() })
  expect(await run.status).toBe(2)
  expect(run.stdout()).toBe('')
  expect(run.stderr()).toContain(message)
  expect(run.stderr()).not.toContain('secret')
  expect(run.stderr()).not.toContain('Expected')
})

test('whatever is typed is a command, or is told as wrong in sentences', async () => {
  const cwd = await folder()
  const io = { env: {}, cwd, stdout: new PassThrough(), stderr: new PassThrough() }
  const words = [
    ...[
      'send',
      'get',
      'receive',
      'help',
      'completion',
      'bash',
      'report.pdf',
      'photos',
      '.',
      '/',
      '..',
      '-',
      '--',
    ],
    ...[
      '-o',
      '-of',
      '-o=',
      '-fo',
      '-q',
      '-qf',
      '--',
      '-',
      '--=',
      '-=',
      '--ttl',
      '--ttl=1h',
      '--no-progress=false',
    ],
    ...[
      '--server',
      '--server=[',
      'http://[',
      'http://h',
      '[::1]',
      '://',
      'h:1',
      ID,
      `h/${ID}`,
      `//h/${ID}`,
      `//${ID}/x`,
      `http:/${ID}/x`,
      '//',
      '--server=//',
      '--server=//h',
      '--server=/h',
      `${ID}/..`,
      `${ID}#`,
    ],
    ...[
      '__proto__',
      '--__proto__',
      '--constructor=1',
      'toString',
      '\u0000',
      '\ud800',
      '%',
      '%zz',
      '\\',
      '](',
      '<>',
    ],
  ]
  const typed = fc.array(fc.oneof(fc.constantFrom(...words), fc.string()), { maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(typed, async (argv) => {
      const command = await parseArguments(argv, io).catch((error: unknown) => error)
      if (!(command instanceof Error)) return
      expect(command).toBeInstanceOf(EssError)
      expect(command).toMatchObject({ code: 'usage', message: expect.stringMatching(/^.+[.?] [A-Z].+$/s) })
    }),
    { numRuns: 2_000 },
  )
})
