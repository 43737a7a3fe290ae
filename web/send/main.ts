import { readFacts } from '../facts.js'

const { version } = readFacts(document)
const heading = document.querySelector('h1')
if (heading !== null) heading.title = `ESS ${version}`
