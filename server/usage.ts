/** What `GET /` says to people: how to use this server, with its own URLs. */
export function usageText(
  base: string,
  limits: { readonly ttl: string; readonly maxUpload: string },
): string {
  return `ESS, the ephemeral socket service: a file goes straight from one machine to another.
Nothing is stored here. The sender waits until somebody downloads, and is told how it ended.

Send (the download URL is printed at once; leave it running):

    curl -T file.iso ${base}/
    tar c folder | curl -NT - ${base}/folder.tar

Receive (a link works once):

    curl -fOJ ${base}/ID/file.iso

With the client, which also checks that every byte arrived:

    ess send file.iso --server ${base}
    ess get ${base}/ID/file.iso

A link waits ${limits.ttl} for its receiver. A file may have ${limits.maxUpload}.
`
}
