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
  local one
  compopt -o filenames 2>/dev/null
  while IFS= read -r one; do COMPREPLY+=("$one"); done < <(compgen -f -- "$1")
}

_ess() {
  local word=\${COMP_WORDS[COMP_CWORD]} before='' command='' flags='' index
  ((COMP_CWORD > 0)) && before=\${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in
    ${valueFlags().join(' | ')}) ((index++)) ;;
    -*) ;;
    *)
      command=\${COMP_WORDS[index]}
      break
      ;;
    esac
  done
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
  local word=\${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  if [[ $word == -* ]]; then
    _ess_words "$word" "$(ess-server --help 2>/dev/null | grep -oE '^ +(-[a-z], )?--[a-z-]+' | grep -oE -e '--[a-z-]+')"
  else
    _ess_files "$word"
  fi
}

complete -F _ess ess
complete -F _ess_server ess-server
`
}
