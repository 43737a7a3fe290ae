// The obvious relay in Hono: the request's web stream becomes the body of the other's response. Arguments: PORT.
import { once } from 'node:events'
import { type HttpBindings, serve } from '@hono/node-server'
import { Hono } from 'hono'

/** A body on its way. */
interface Sender {
  readonly body: ReadableStream<Uint8Array>
  readonly length: string | undefined
}
const senders = new Map<string, Sender>()
const receivers = new Map<string, (response: Response) => void>()

function answer({ body, length }: Sender): Response {
  return new Response(body, {
    headers: {
      'Content-Type': 'application/octet-stream',
      ...(length !== undefined && { 'Content-Length': length }),
    },
  })
}

const app = new Hono<{ Bindings: HttpBindings }>()
app.post('*', async (c) => {
  const body = c.req.raw.body
  if (body === null) return c.text('no body', 400)
  const wholeBody = once(c.env.incoming, 'end')
  const sender = { body, length: c.req.header('content-length') }
  const receive = receivers.get(c.req.path)
  receivers.delete(c.req.path)
  if (receive === undefined) senders.set(c.req.path, sender)
  else receive(answer(sender))
  await wholeBody
  return c.text('delivered')
})
app.get('*', (c) => {
  const sender = senders.get(c.req.path)
  senders.delete(c.req.path)
  if (sender !== undefined) return answer(sender)
  return new Promise<Response>((receive) => {
    receivers.set(c.req.path, receive)
  })
})
serve({ fetch: app.fetch, port: Number(process.argv[2]), hostname: '127.0.0.1' })
