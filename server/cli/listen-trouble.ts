import { errnoWords } from '../node/errno-words.js'

/** Why the server can't listen on an address, in words. */
export function listenTrouble(error: unknown): string {
  return errnoWords('listen', error) ?? (error instanceof Error ? error.message : String(error))
}
