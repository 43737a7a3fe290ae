import { rowOf } from '../commands.js'
import {
  type CompletedFlag,
  choicesOf,
  commandWords,
  flagsOf,
  isPath,
  spellings,
  valueFlags,
} from './words.js'

/** For `eval` in ~/.zshrc, and as a file \`_ess\` in a folder of \`fpath\`. */
export function zshScript(): string {
  const commands = commandWords().map(({ word, name }) => `    ${quoted(`${word}:${rowOf(name).summary}`)}`)
  const cases = commandWords().map(({ word, name }) => {
    const { operand } = rowOf(name)
    const choices = choicesOf(operand)
    const what = choices === undefined ? (operand.of === 'file' ? '_files' : ' ') : `(${choices.join(' ')})`
    const specs = [
      ...flagsOf(name).map(flagSpec),
      quoted(`${operand.isMany ? '*' : '1'}:${operand.name}:${what}`),
    ]
    return `    ${word})\n      _arguments -s -S ${specs.join(' \\\n        ')}\n      ;;`
  })
  return `#compdef ess ess-server
# Completions of ess and ess-server for zsh. In ~/.zshrc, after compinit: eval "$(ess completion zsh)"
_ess() {
  if [[ $service == ess-server ]]; then
    local before=\${words[CURRENT - 1]}
    if [[ \${words[CURRENT]} == --*=* ]]; then
      before=\${\${words[CURRENT]}%%=*}
      compset -P '*='
    fi
    local value=
    [[ $before =~ '^--[a-z-]+$' ]] \\
      && value=$(ess-server --help 2>/dev/null | sed -n "s/^ \\{2,6\\}$before \\([^ ]*\\).*/\\1/p")
    case $value in
    FILE) _files ;;
    *'|'*) compadd -- \${(s:|:)value} ;;
    *) _arguments -- ;;
    esac
    return
  fi
  local -a commands
  commands=(
${commands.join('\n')}
  )
  local curcontext=$curcontext state
  local -i at=2
  while ((at < CURRENT)); do
    case \${words[at]} in
    ${valueFlags().join(' | ')}) ((at += 2)) ;;
    -*) ((at++)) ;;
    *) break ;;
    esac
  done
  if ((at >= CURRENT)); then
    _describe -t commands 'command of ess' commands -- \\
      || _arguments ${[...flagsOf('help')].map(flagSpec).join(' ')}
    return
  fi
  local command=\${words[at]}
  # What follows is completed as if the command were a program.
  words=("$command" "\${(@)words[at + 1, -1]}")
  ((CURRENT -= at - 1))
  case $command in
${cases.join('\n')}
  esac
}

if [[ $funcstack[1] == _ess ]]; then
  _ess "$@"
else
  compdef _ess ess ess-server
fi
`
}

/** `'(-o --output)'{-o,--output}'[words]:FILE:_files'`; or `'*'{-i,--identity}…` for one that may be given again. */
function flagSpec(flag: CompletedFlag): string {
  const names = spellings(flag)
  const isMany = flag.isMany === true
  const action = flag.value === undefined ? '' : `:${flag.value}:${isPath(flag.value) ? '_files' : ' '}`
  const words = quoted(`[${flag.words.replace(/[[\]:\\]/g, '\\$&')}]${action}`)
  const equals = flag.value === undefined ? '' : '='
  const [short, long] = names.length === 2 ? names : [undefined, names[0]]
  if (short === undefined) return quoted(`${isMany ? '*' : ''}${long}${equals}`) + words
  return `'${isMany ? '*' : `(${names.join(' ')})`}'{${short}${equals === '' ? '' : '+'},${long}${equals}}${words}`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
