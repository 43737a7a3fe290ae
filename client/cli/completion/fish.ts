import { COMMAND_NAMES, rowOf } from '../commands.js'
import { choicesOf, commandWords, flagsOf, isPath } from './words.js'

export function fishScript(): string {
  const all = commandWords()
    .map(({ word }) => word)
    .join(' ')
  const first = `-n 'not __fish_seen_subcommand_from ${all}'`
  const commands = commandWords().map(
    ({ word, name }) => `complete -c ess ${first} -a ${word} -d ${quoted(rowOf(name).summary)}`,
  )
  const rest = COMMAND_NAMES.flatMap((name) => {
    const row = rowOf(name)
    const of = `-n '__fish_seen_subcommand_from ${[name, ...row.aliases].join(' ')}'`
    const choices = choicesOf(row.operand)
    const operand =
      choices === undefined
        ? row.operand.of === 'file'
          ? [`complete -c ess ${of} -F`]
          : []
        : [`complete -c ess ${of} -a '${choices.join(' ')}'`]
    const flags = flagsOf(name).map(({ flag, short, value, words }) => {
      const takes = value === undefined ? '' : isPath(value) ? ' -r -F' : ' -x'
      const names = short === undefined ? `-l ${flag}` : `-s ${short} -l ${flag}`
      return `complete -c ess ${of} ${names}${takes} -d ${quoted(words)}`
    })
    return [...operand, ...flags]
  })
  return `# Completions of ess and ess-server for fish. In ~/.config/fish/config.fish: ess completion fish | source
complete -c ess -f
complete -c ess ${first} -s h -l help -d 'Print the commands'
complete -c ess ${first} -s v -l version -d 'Print the version'
${[...commands, ...rest].join('\n')}

function __ess_server_flags
    ess-server --help 2>/dev/null | string match -r -g '^ +(?:-[a-z], )?(--[a-z-]+)'
end
function __ess_server_value
    set -l typed (commandline -opc)
    ess-server --help 2>/dev/null | string match -r -g -- '^ {2,6}'(string escape --style=regex -- $typed[-1])' (\\S+)'
end
function __ess_server_choices
    set -l value (__ess_server_value)
    string match -q '*|*' -- $value; and string split '|' -- $value
end
complete -c ess-server -f
complete -c ess-server -n 'string match -q -- "-*" (commandline -ct)' -a '(__ess_server_flags)'
complete -c ess-server -n 'string match -q FILE -- (__ess_server_value)' -F
complete -c ess-server -n 'not string match -q -- "-*" (commandline -ct)' -a '(__ess_server_choices)'
`
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
