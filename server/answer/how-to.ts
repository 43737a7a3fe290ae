import { SHELLS } from '../../shared/page-words-shells.js'

/** What decides how a server is used: its address, and what it asks of its clients. */
export interface Terms {
  /** The URL of the server, without a slash at its end. */
  readonly base: string
  /** True if an upload can't be answered before its end, so that a link has to be reserved first. */
  readonly mustReserve: boolean
  readonly needsTokenToSend: boolean
  readonly needsTokenToReceive: boolean
}

/** A step of a transfer: what it does, and the command lines that do it, each by itself. */
export interface Step {
  readonly words: string
  readonly lines: readonly string[]
}

/** How to send with curl. */
export function sendWithCurl({ base, mustReserve, needsTokenToSend }: Terms): Step {
  const curl = curlWith(needsTokenToSend)
  return mustReserve
    ? {
        words: SHELLS.sendInTwo,
        // The token of an upload is in its address.
        lines: [`${curl} -X POST ${base}/reserve`, 'curl -fT file.iso ADDRESS'],
      }
    : {
        words: SHELLS.sendInOne,
        lines: [`${curl} -NT file.iso ${base}/`, `tar c folder | ${curl} -NT - ${base}/folder.tar`],
      }
}

/** The line that receives with curl from `link`. */
export function receiveWithCurl(link: string, { needsTokenToReceive }: Terms): string {
  return `${curlWith(needsTokenToReceive)} -fo file.iso ${link}`
}

/** The line that sends with `ess`. Without `server`, that is the one that `ess` uses by itself. */
export function sendWithEss({ needsTokenToSend }: Terms, server?: string): string {
  const line = `${essWith(needsTokenToSend)} send file.iso`
  return server === undefined ? line : `${line} --server ${server}`
}

/** The line that receives with `ess` from `link`. It gives its token only to a server that it was told to use. */
export function receiveWithEss(link: string, { base, needsTokenToReceive }: Terms): string {
  const line = `${essWith(needsTokenToReceive)} get ${link}`
  return needsTokenToReceive ? `${line} --server ${base}` : line
}

function curlWith(needsToken: boolean): string {
  return needsToken ? 'curl -u :TOKEN' : 'curl'
}

function essWith(needsToken: boolean): string {
  return needsToken ? 'ESS_TOKEN=TOKEN ess' : 'ess'
}
