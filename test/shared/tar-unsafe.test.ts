import { expect, test } from 'vitest'
import { unsafe } from '../../shared/tar-unsafe.js'

test('what is refused after its link was used up is to be sent again', () => {
  expect(unsafe('is a device', 'dev/null')).toMatchObject({
    code: 'unsafe-bundle',
    message:
      'This bundle is not safe to unpack: "dev/null" is a device. Nothing was kept. Ask the sender to send it again.',
  })
})
