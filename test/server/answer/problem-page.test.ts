import { expect, test } from 'vitest'
import { problemPage } from '../../../server/answer/page.js'
import { EssError, PROBLEMS, problemSentences } from '../../../shared/index.js'

test('the page of a problem says nothing twice, and has the code for a search', () => {
  const error = new EssError('busy')
  const page = problemPage(PROBLEMS.busy.title, problemSentences(error), 'busy')
  expect(page).toContain('<h1>Someone else is downloading this file</h1>')
  expect(page).toContain('<p>A link works once. Ask the sender for a link of your own.</p>')
  expect(page).toContain('<small>busy</small>')
})

test('a detail of its own stands whole under the title', () => {
  const page = problemPage('This link no longer works', 'This link worked once & has been used.', 'gone')
  expect(page).toContain('<p>This link worked once &#38; has been used.</p>')
})
