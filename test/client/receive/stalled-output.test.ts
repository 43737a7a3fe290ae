import { Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { download } from '../../../client/index.js'
import { ID } from '../../helpers/client-wire.js'
import { lyingServer } from '../../helpers/lying-server.js'
import { sealedBody } from '../../helpers/sealed-body.js'
import { DEADLINE_MS, within } from '../../helpers/within.js'

describe.each(['known', 'chunked'] as const)(
  'an output that takes no more, with a length that is %s',
  (framing) => {
    describe.each(['plain', 'sealed'] as const)('of a %s download', (kind) => {
      test.each([1000, 9_000_000])(
        'of %i bytes can be interrupted, and that is no delivery',
        async (size) => {
          const { content, body, note, identity } = await sealedBody(size)
          const isSealed = kind === 'sealed'
          // Its sender could go on, so that a mere cut would be waited for.
          const server = await lyingServer(isSealed ? { note, body, framing } : { body: content, framing })
          const interrupt = new AbortController()
          let writes = 0
          const stream = new Writable({
            write() {
              writes++
              setTimeout(() => interrupt.abort(), 50)
            },
          })
          const link = `${server.url}/${ID}${isSealed ? `#${identity}` : ''}`
          const work = download(link, { to: { stream }, signal: interrupt.signal })
          await expect(within(DEADLINE_MS, 'the download ends', work)).rejects.toMatchObject({
            code: 'interrupted',
          })
          expect(writes).toBe(1)
          expect(await server.lastEnding()).toBe('rst')
          expect(server.asked).toEqual(['HEAD', 'GET', 'DELETE'])
        },
      )
    })
  },
)
