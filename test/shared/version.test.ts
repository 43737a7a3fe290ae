import { expect, test } from 'vitest'
import { VERSION } from '../../shared/version.js'
import { readPage } from '../helpers/markdown.js'

test('the version in the code is that of package.json', async () => {
  expect(JSON.parse(await readPage('package.json'))).toHaveProperty('version', VERSION)
})
