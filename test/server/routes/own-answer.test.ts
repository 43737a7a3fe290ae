import { expect, onTestFinished, test } from 'vitest'
import { createService, listen, type ServiceOptions } from '../../../server/index.js'

async function start(onError: ServiceOptions['onError']) {
  const service = createService(onError === undefined ? {} : { onError })
  const server = await listen(service, { port: 0 })
  onTestFinished(() => server.stopNow())
  return { service, url: `${server.url}/AbCdEfGhIjKl` }
}

test("onError's answer is given in place of the problem", async () => {
  const { url } = await start((error) => ({
    status: 418,
    body: `own: ${error.code}`,
    headers: { 'X-Own': '1' },
  }))
  const answer = await fetch(url)
  expect([answer.status, answer.headers.get('x-own'), await answer.text()]).toEqual([
    418,
    '1',
    'own: not-found',
  ])
})

test('an onError that throws leaves the built-in answer, and is told to error:listener', async () => {
  const broken = new Error('broken')
  const { service, url } = await start(() => {
    throw broken
  })
  const told: unknown[] = []
  service.on('error:listener', (error, name) => told.push(error, name))
  const answer = await fetch(url)
  expect(answer.status).toBe(404)
  expect(await answer.text()).toMatch(/ \[not-found\]\n$/)
  expect(told).toEqual([broken, 'onError'])
})
