/** What we use of Hono's adapter for Node; the one file that imports it. */
export { getRequestListener, type HttpBindings, RequestError } from '@hono/node-server'
export { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
