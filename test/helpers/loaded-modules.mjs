/*
 * Loaded into an ess-server before its own code. It writes the URL of each module that is loaded from then on to the file
 * LOADED_MODULES, one a line.
 */
import { appendFileSync } from 'node:fs'
import * as module from 'node:module'

const file = process.env.LOADED_MODULES
const note = (url) => appendFileSync(file, `${url}\n`)

// Nodes before 22.15 have the other one alone, of which Node 26 warns.
if (module.registerHooks !== undefined) {
  module.registerHooks({
    load(url, context, next) {
      note(url)
      return next(url, context)
    },
  })
} else {
  const hooks = `
    import { appendFileSync } from 'node:fs'
    export async function load(url, context, next) {
      appendFileSync(${JSON.stringify(file)}, url + '\\n')
      return next(url, context)
    }`
  module.register(`data:text/javascript,${encodeURIComponent(hooks)}`)
}
