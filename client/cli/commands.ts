import { ANY_FAILURE, type ExitWords, TRANSFER_FAILURE } from './exit-words.js'
import type { OptionCommand } from './options.js'

/** What is typed after a command, beside its options. */
export interface Operand {
  /** As `--help` shows it, such as `FILE`. */
  readonly name: string
  readonly isOptional?: true
  /** True if there may be several. */
  readonly isMany?: true
  /** How a shell completes it. `link` and `server`: not at all. */
  readonly of: 'file' | 'link' | 'server' | 'command' | 'shell'
}

/** The shells that `ess completion` knows. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/**
 * One command of `ess`. The parser, `ess help`, the completions and the man page follow from it; `arguments.ts` checks
 * what was typed.
 */
export interface CommandRow {
  /** Other names that do the same. */
  readonly aliases: readonly string[]
  readonly operand: Operand
  /** One line in `ess --help`. */
  readonly summary: string
  /** What it does, in sentences. Each item is a paragraph. */
  readonly about: readonly string[]
  /** Lines to type, each with what it is for. */
  readonly examples: readonly (readonly [line: string, purpose: string])[]
  readonly exits: ExitWords
}

/** The rule itself is in server-address.ts. */
const LINK_FORMS =
  'LINK is what the sender printed; quotes, brackets and full stops around it do no harm. You may leave out the scheme: send.example.org/ID means https; HOST:PORT/ID, an IP address or a local name means http; your own server keeps its scheme. An id alone is looked up on your own server (--server).'

/** Every command, in the order of `--help`. */
export const COMMANDS = {
  send: {
    aliases: [],
    operand: { name: 'FILE', isOptional: true, isMany: true, of: 'file' },
    summary: 'Send files and folders, or what is piped in',
    about: [
      "Sends files and folders, or what is piped in if you name none. Prints the link at once, and ends when the receiver has everything. No file's content is read until someone starts downloading.",
      'A folder or several files go as one tar, which ess get unpacks; without ess, tar x does.',
      'With --encrypt, the server can read neither the content nor the name. The format is that of age, so age -d opens it without ess.',
      'If the connection is lost, the transfer goes on by itself. If the server is being restarted when you begin, ess tries for ten seconds.',
    ],
    examples: [
      ['ess send movie.mkv', 'a file'],
      ['ess send photos notes.txt', 'a folder and a file'],
      ['ess send --encrypt movie.mkv', 'so that the server cannot read it'],
      ['pg_dump app | ess send --name app.sql', 'what a program prints'],
      ['ess send --text "see you at 8"', 'a text, which ess get prints'],
      ['ess send --qr movie.mkv', 'to a phone'],
      ['ess send --ttl 1h30m movie.mkv', 'keep the link open for longer'],
      ['ess send --server send.example.org movie.mkv', 'through another server'],
    ],
    exits: {
      ok: 'delivered: the receiver has every byte',
      ...TRANSFER_FAILURE,
      unverified: 'sent, but the receiver has not confirmed that it has everything',
    },
  },
  get: {
    aliases: ['receive'],
    operand: { name: 'LINK', of: 'link' },
    summary: 'Receive what was sent',
    about: [
      'Saves the file under the name that its sender gave it, or prints it if you pipe the output. Unpacks a folder or several files, unless they go to a pipe or to a name that ends in .tar. Prints a text on a terminal. Everything appears only when it is whole. A link works once.',
      "If the link has a key behind a #, quote the link. If the file was encrypted for your own key, name that key's file with -i. If it has a password, you are asked for it.",
      'If the connection is lost, the transfer goes on by itself. If ess or your computer stopped, type the same command again soon: it goes on where it was, as long as the sender waits.',
      LINK_FORMS,
    ],
    examples: [
      ['ess get https://send.example.org/AbCdEfGhIjKl', 'a file'],
      ['ess get AbCdEfGhIjKl', 'on your own server'],
      ['ess get AbCdEfGhIjKl -o ~/Downloads/', 'into a folder'],
      ['ess get AbCdEfGhIjKl -o photos.tar', 'a folder, as a tar'],
      ['ess get AbCdEfGhIjKl -i key.txt', 'for your own key'],
    ],
    exits: {
      ok: 'the file is here, whole',
      ...TRANSFER_FAILURE,
      untrusted: 'the wrong key, or not what the sender encrypted, or not safe to unpack; nothing was kept',
    },
  },
  doctor: {
    aliases: [],
    operand: { name: 'SERVER', isOptional: true, of: 'server' },
    summary: 'Find out what keeps a server from working',
    about: [
      'Tries a server and everything on the way to it. Prints a line for each check, and what mends each fault.',
    ],
    examples: [['ess doctor https://send.example.org', 'in about a second']],
    exits: {
      ok: 'all is well',
      ...ANY_FAILURE,
      unavailable: 'something is wrong, or no ESS server is there',
      local: 'the token could not be read',
    },
  },
  completion: {
    aliases: [],
    operand: { name: 'SHELL', of: 'shell' },
    summary: `Print tab completions for ${SHELLS.slice(0, -1).join(', ')} or ${SHELLS.at(-1)}`,
    about: ['Prints a script that completes commands, options and files when you press Tab.'],
    examples: [
      ['eval "$(ess completion bash)"', 'in ~/.bashrc'],
      ['eval "$(ess completion zsh)"', 'in ~/.zshrc, after compinit'],
      ['ess completion fish | source', 'in ~/.config/fish/config.fish'],
    ],
    exits: { ok: 'printed', ...ANY_FAILURE },
  },
  help: {
    aliases: [],
    operand: { name: 'COMMAND', isOptional: true, of: 'command' },
    summary: 'Explain a command: all its options and exit statuses',
    about: ['Prints what `ess COMMAND --help` prints.'],
    examples: [['ess help get', 'everything about ess get']],
    exits: { ok: 'printed', ...ANY_FAILURE },
  },
} as const satisfies Readonly<Record<string, CommandRow>> & Readonly<Record<OptionCommand, CommandRow>>

export type CommandName = keyof typeof COMMANDS

/** The names of all commands, in the order of the table. */
// Object.keys types them as plain text.
export const COMMAND_NAMES = Object.keys(COMMANDS) as CommandName[]

/** The command of this name or alias. */
export function commandNamed(typed: string): CommandName | undefined {
  return COMMAND_NAMES.find((name) => name === typed || rowOf(name).aliases.includes(typed))
}

/** A command's row, in the form that every row has. */
export function rowOf(name: CommandName): CommandRow {
  return COMMANDS[name]
}

/** `ess send [FILE...]` */
export function synopsis(name: CommandName): string {
  const { operand } = rowOf(name)
  return `ess ${name} ${operand.isOptional ? `[${operandName(operand)}]` : operandName(operand)}`
}

/** `FILE...` */
export function operandName({ name, isMany }: Operand): string {
  return isMany ? `${name}...` : name
}
