// The least that ESS's wire asks of node:http: an early answer with the URL, a download that ends with its connection,
// and the verdict behind the receiver's own end. It checks nothing, limits nothing, and has no timers. Arguments: PORT.
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

/** A sender that waits. */
interface Sender {
  readonly body: IncomingMessage
  readonly response: ServerResponse
}
const senders = new Map<string, Sender>()

function open(body: IncomingMessage, response: ServerResponse): void {
  const path = `/${randomBytes(9).toString('base64url')}`
  const url = `http://${body.headers.host}${path}`
  senders.set(path, { body, response })
  response.cork()
  response.writeHead(201, { 'Content-Type': 'text/plain; charset=utf-8', Location: url })
  response.write(`${url}\n# waiting for a receiver\n`)
  response.uncork()
}

function relay({ body, response }: Sender, receiverResponse: ServerResponse): void {
  const connection = receiverResponse.req.socket
  receiverResponse.writeHead(200, {
    'Content-Type': 'application/octet-stream',
    'Content-Length': body.headers['content-length'],
    Connection: 'close',
  })
  body.pipe(receiverResponse)
  // Our half alone is closed behind the last byte: the receiver's own end is its confirmation.
  connection.destroySoon = () => connection.end()
  connection.once('close', () => response.end('# delivered\n'))
}

const server = createServer({ requestTimeout: 0 }, (request, response) => {
  const path = request.url ?? '/'
  if (request.method === 'POST') {
    open(request, response)
    return
  }
  const sender = senders.get(path)
  senders.delete(path)
  if (sender === undefined) response.writeHead(404).end()
  else relay(sender, response)
})
server.listen(Number(process.argv[2]), '127.0.0.1')
