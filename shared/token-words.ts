/**
 * The words of an ESS server that refuses a missing or a wrong token. `ess` replaces them, because it knows which of the
 * two it is.
 */
export function tokenWords(access: 'send' | 'receive'): string {
  return `You need a valid token to ${access} here; the operator of this server has it. With ess, set ESS_TOKEN. With curl, add -u :TOKEN.`
}
