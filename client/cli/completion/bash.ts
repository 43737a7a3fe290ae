import { rowOf } from '../commands.js'
import { OWN_FLAGS } from '../parser.js'
import { choicesOf, commandWords, flagsOf, spellings, valueFlags } from './words.js'

/** It works in bash 3.2, which macOS has, and without the package bash-completion. */
export function bashScript(): string {
  const flags = commandWords().map(
    ({ word, name }) => `    ${word}) flags='${flagsOf(name).flatMap(spellings).join(' ')}' ;;`,
  )
  const operands = commandWords().map(({ word, name }) => {
    const { operand } = rowOf(name)
    const choices = choicesOf(operand)
    if (choices !== undefined) return `    ${word}) _ess_words "$word" '${choices.join(' ')}' ;;`
    return operand.of === 'file' ? `    ${word}) _ess_files "$word" ;;` : `    ${word}) ;;`
  })
  return `# Completions of ess and ess-server for bash. In ~/.bashrc: eval "$(ess completion bash)"
_ess_words() {
  local one
  while IFS= read -r one; do COMPREPLY+=("$one"); done < <(compgen -W "$2" -- "$1")
}

_ess_files() {
  # Readline's own completion knows every name, even one with a line end in it.
  compopt -o default 2>/dev/null && return
  local one
  while IFS= read -r one; do COMPREPLY+=("$one"); done < <(compgen -f -- "$1")
}

# Bash takes the : and = in http://h:1 and --server=h for words of their own. This makes them one again, in _ess_typed.
_ess_join() {
  local index count=0 before=''
  _ess_typed=()
  for ((index = 0; index <= COMP_CWORD; index++)); do
    if ((count > 1)) && [[ \${COMP_WORDS[index]} =~ ^[:=]+$ || $before =~ ^[:=]+$ ]]; then
      _ess_typed[count - 1]+=\${COMP_WORDS[index]}
    else
      _ess_typed[count++]=\${COMP_WORDS[index]}
    fi
    before=\${COMP_WORDS[index]}
  done
}

_ess() {
  local -a _ess_typed
  _ess_join
  local at=$((\${#_ess_typed[@]} - 1)) before='' command='' flags='' index
  local word=\${_ess_typed[at]}
  ((at > 0)) && before=\${_ess_typed[at - 1]}
  COMPREPLY=()
  for ((index = 1; index < at; index++)); do
    case \${_ess_typed[index]} in
    ${valueFlags().join(' | ')}) ((index++)) ;;
    -*) ;;
    *)
      command=\${_ess_typed[index]}
      break
      ;;
    esac
  done
  if [[ $word == --*=* ]]; then
    before=\${word%%=*}
    word=\${word#*=}
  fi
  case $before in
  ${valueFlags(true).join(' | ')})
    _ess_files "$word"
    return
    ;;
  ${valueFlags(false).join(' | ')}) return ;;
  esac
  if [[ $word == -* ]]; then
    case $command in
${flags.join('\n')}
    *) flags='${OWN_FLAGS.flatMap(spellings).join(' ')}' ;;
    esac
    _ess_words "$word" "$flags"
    return
  fi
  case $command in
    '') _ess_words "$word" '${commandWords()
      .map(({ word }) => word)
      .join(' ')}' ;;
${operands.join('\n')}
  esac
}

_ess_server() {
  local -a _ess_typed
  _ess_join
  local at=$((\${#_ess_typed[@]} - 1)) before='' value
  local word=\${_ess_typed[at]}
  ((at > 0)) && before=\${_ess_typed[at - 1]}
  COMPREPLY=()
  if [[ $word == --*=* ]]; then
    before=\${word%%=*}
    word=\${word#*=}
  elif [[ $word == -* ]]; then
    _ess_words "$word" "$(ess-server --help 2>/dev/null | grep -oE '^ +(-[a-z], )?--[a-z-]+' | grep -oE -e '--[a-z-]+')"
    return
  fi
  [[ $before =~ ^--[a-z-]+$ ]] || return
  value=$(ess-server --help 2>/dev/null | sed -n "s/^ \\{2,6\\}$before \\([^ ]*\\).*/\\1/p")
  case $value in
  FILE) _ess_files "$word" ;;
  *'|'*) _ess_words "$word" "\${value//|/ }" ;;
  esac
}

complete -F _ess ess
complete -F _ess_server ess-server
`
}
