import { downloadPath, urlAtServer, withoutUserinfo } from '../../../shared/index.js'
import { type Finding, flaw, note, ok } from '../finding.js'
import { isLoopback } from '../loopback.js'
import type { Patient } from '../patient.js'
import { openTrial } from '../trial.js'

/** Do the server's links lead back to it? */
export async function checkLink(patient: Patient): Promise<Finding> {
  const { link, server } = patient
  if (link === undefined) return note('No link was given.')
  const shown = withoutUserinfo(link.url).slice(0, 200)
  if (!URL.canParse(link.url)) return flaw('link-elsewhere', `A link reads ${shown}, which is no URL.`)
  const base = link.url.slice(0, link.url.lastIndexOf(downloadPath(link.id)))
  const expected = patient.at(downloadPath(link.id))
  const given = new URL(link.url)
  if (given.origin === expected.origin && given.pathname.startsWith(expected.pathname))
    return ok(`Links begin with ${withoutUserinfo(base)}, the address you used.`)
  if (given.protocol === 'http:' && server.protocol === 'https:')
    return flaw('link-http', `A link reads ${shown}, and you came by https.`)
  // Another machine's own address leads everywhere but there.
  if (isLoopback(given) && !isLoopback(server))
    return flaw('link-elsewhere', `A link reads ${shown}, which is each machine's own address.`)
  if (await leadsBack(patient, base))
    return note(`Links begin with ${withoutUserinfo(base)}, which leads to the same server.`)
  return flaw('link-elsewhere', `A link reads ${shown}, which does not lead back to ${server.origin}.`)
}

/** True if a link of a transfer that waits is known at `base` too. */
async function leadsBack(patient: Patient, base: string): Promise<boolean> {
  const trial = await openTrial(patient, 4)
  try {
    const there = await patient.ask('HEAD', urlAtServer(base, downloadPath(trial.id)))
    const head = await there.answer(patient.answerMs)
    there.reset()
    return head?.headers.etag === `"${trial.id}"` || head?.statusCode === 200
  } catch {
    // Whatever is wrong there, the link doesn't lead back.
    return false
  } finally {
    trial.reset()
  }
}
