// The obvious relay in Node: one `pipe` from the request to the response. Arguments: PORT.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

/** One side that waits for the other. */
interface Sender {
  readonly senderBody: IncomingMessage
  readonly senderResponse: ServerResponse
}
const senders = new Map<string, Sender>()
const receivers = new Map<string, ServerResponse>()

function relay({ senderBody, senderResponse }: Sender, receiverResponse: ServerResponse): void {
  const length = senderBody.headers['content-length']
  receiverResponse.writeHead(200, {
    'Content-Type': 'application/octet-stream',
    ...(length !== undefined && { 'Content-Length': length }),
  })
  senderBody.pipe(receiverResponse)
  senderBody.once('end', () => senderResponse.end('delivered'))
  senderBody.once('error', () => receiverResponse.destroy())
}

const server = createServer({ requestTimeout: 0 }, (request, response) => {
  const path = request.url ?? '/'
  if (request.method === 'POST') {
    const sender = { senderBody: request, senderResponse: response }
    const receiverResponse = receivers.get(path)
    receivers.delete(path)
    if (receiverResponse === undefined) senders.set(path, sender)
    else relay(sender, receiverResponse)
  } else {
    const sender = senders.get(path)
    senders.delete(path)
    if (sender === undefined) receivers.set(path, response)
    else relay(sender, response)
  }
})
server.listen(Number(process.argv[2]), '127.0.0.1')
