import type { Shell } from '../commands.js'
import { bashScript } from './bash.js'
import { fishScript } from './fish.js'
import { zshScript } from './zsh.js'

const SCRIPTS: Readonly<Record<Shell, () => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
}

/**
 * The script that completes `ess`, and the flags of `ess-server`. Those are read from its `--help` when Tab is pressed,
 * because the client doesn't know the server's options, and may be installed without it.
 */
export function completion(shell: Shell): string {
  return SCRIPTS[shell]()
}
