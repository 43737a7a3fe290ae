/** The text of `GET /`: how to use this server, with its own URLs. */
export function usageText(
  base: string,
  limits: { readonly ttl: string; readonly maxUpload: string; readonly mustReserve: boolean },
): string {
  const send = limits.mustReserve
    ? `Send (first a reservation, which prints the download URL and the address for your upload):

    curl -X POST ${base}/reserve
    curl -fT file.iso ADDRESS`
    : `Send (the download URL is printed at once; leave it running):

    curl -NT file.iso ${base}/
    tar c folder | curl -NT - ${base}/folder.tar`
  return `ESS, the ephemeral socket service: a file goes straight from one machine to another.
Nothing is stored here. The sender waits until somebody downloads, and is told how it ended.

${send}

Receive (a link works once):

    curl -fo file.iso ${base}/ID/file.iso

With the client, which also checks that every byte arrived:

    ess send file.iso --server ${base}
    ess get ${base}/ID/file.iso

A link waits ${limits.ttl} for its receiver. A file may have ${limits.maxUpload}.
`
}
