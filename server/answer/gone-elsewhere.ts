import { EssError } from '../../shared/index.js'

/** The refusal for a link that has ended on another node. */
export function goneElsewhere(): EssError {
  return new EssError('gone', 'This transfer is over, and a link works once. Ask the sender for a new one.')
}
