import { expect, test } from 'vitest'
import { problemPage } from '../../../server/answer/problem-page.js'
import { EssError, PROBLEMS, problemSentences } from '../../../shared/index.js'

test('the page of a problem says nothing twice, and has the code for a search', () => {
  const error = new EssError('busy')
  const { body } = problemPage(PROBLEMS.busy.title, problemSentences(error), 'busy')
  expect(body).toContain('<h1>This file is being downloaded already</h1>')
  expect(body).toContain(
    '<p>A link works once. If that is not you, in another tab or program, ask the sender for a link of your own.</p>',
  )
  expect(body).toContain('<small>Error code: busy</small>')
})

test('a person who needs a token reads how to type it in', () => {
  const { body } = problemPage(PROBLEMS.unauthorized.title, 'You need a token.', 'unauthorized')
  expect(body).toContain('reload this page')
})

test('a detail of its own stands whole under the title', () => {
  const { body } = problemPage('This link no longer works', 'This link worked once & has been used.', 'gone')
  expect(body).toContain('<p>This link worked once &#38; has been used.</p>')
})
