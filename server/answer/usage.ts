import { ROUTES } from '../../shared/index.js'
import { receiveWithCurl, receiveWithEss, sendWithCurl, sendWithEss, type Terms } from './how-to.js'

/** The text of `GET /`: how to use this server, with its own URLs. */
export function usageText(
  terms: Terms,
  limits: {
    readonly ttl: string
    readonly maxUpload: string | undefined
    readonly servesClient: boolean
  },
): string {
  const { base, needsTokenToSend, needsTokenToReceive } = terms
  const link = `${base}/ID/file.iso`
  const send = sendWithCurl(terms)
  const whose = [needsTokenToSend && 'send', needsTokenToReceive && 'receive'].filter(Boolean).join(' and ')
  const token = whose === '' ? '' : `To ${whose} you need a TOKEN, which the operator of this server has.\n`
  const size = limits.maxUpload === undefined ? 'of any size' : `of at most ${limits.maxUpload}`
  const client = limits.servesClient
    ? `
The client comes from here too, and then needs no --server (Node 20.19 or later):

    ${needsTokenToSend ? 'ESS_TOKEN=TOKEN ' : ''}npx ${base}${ROUTES.clientPackageOfVersion} send file.iso
    npm i -g ${base}${ROUTES.clientPackage}
`
    : ''
  return `ESS, the ephemeral socket service: a file goes from one machine to another.
This server stores nothing. The sender waits until someone downloads the file, and then
reads how it ended. A link works once, and waits ${limits.ttl}. Files may be ${size}.
${token}
${send.words}

${indented(send.lines)}

Receive:

${indented([receiveWithCurl(link, terms)])}

With the client, which also checks that every byte arrived:

${indented([sendWithEss(terms, base), receiveWithEss(link, terms)])}
${client}`
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `    ${line}`).join('\n')
}
