import { isIP } from 'node:net'
import { dial } from '../../http/dial.js'
import { portOf, proxyFor } from '../../http/proxy.js'
import { codeOf } from '../../node/errno-words.js'
import { type Finding, flaw, note, ok, problem } from '../finding.js'
import { isLoopback } from '../loopback.js'
import type { Patient } from '../patient.js'

/** How long an address may take to answer. */
const CONNECT_MS = 3_000
/** How long a name server may take. */
const LOOKUP_MS = 5_000

/** Does this machine's environment send us through a proxy? */
export async function checkProxy(patient: Patient): Promise<Finding> {
  patient.proxy = proxyFor(patient.server)
  if (patient.proxy === undefined) return ok('No proxy is set here for this server.')
  const { shown, variable } = patient.proxy
  return note(`${variable} sends everything through ${shown}; all that is below was seen through it.`)
}

/** Does the name have addresses? */
export async function checkName(patient: Patient): Promise<Finding> {
  const host = hostOf(patient)
  if (isIP(host) !== 0) {
    patient.addresses = [host]
    return ok(`${host} is an address.`)
  }
  if (patient.proxy !== undefined) return ok(`The proxy ${patient.proxy.shown} looks ${host} up.`)
  try {
    const found = await inTime(patient.lookup(host, { all: true }), LOOKUP_MS)
    patient.addresses = [...new Set(found.map(({ address }) => address))]
    return ok(`${host} is ${patient.addresses.join(' and ')}.`)
  } catch (error) {
    return codeOf(error) === 'ENOTFOUND'
      ? problem('name-unknown', `${host} was not found.`)
      : problem('name-unanswered', `${host} could not be looked up.`)
  }
}

/** Does each of its addresses answer? */
export async function checkPort(patient: Patient): Promise<Finding> {
  const port = portOf(patient.server)
  if (patient.addresses.length === 0) return ok(`The proxy connects to port ${port}.`)
  const tried = await Promise.all(
    patient.addresses.map(async (address) => ({ address, trouble: await tryAddress(address, port) })),
  )
  const dead = tried.filter(({ trouble }) => trouble !== undefined)
  const alive = tried.filter(({ trouble }) => trouble === undefined).map(({ address }) => address)
  const [first] = dead
  if (first === undefined) return ok(`Port ${port} answers at ${alive.join(' and at ')}.`)
  const words = dead.map(({ address, trouble }) => `${address} ${trouble}`).join(', ')
  if (alive.length > 0) {
    const both = `${alive.join(' and ')} answers on port ${port}, but ${words}.`
    // Every machine has both for itself, and a refusal there costs a client nothing.
    if (hostOf(patient) === 'localhost' && dead.every(({ trouble }) => trouble === REFUSED)) return note(both)
    return flaw('address-dead', both)
  }
  const isRefused = dead.some(({ trouble }) => trouble === REFUSED)
  if (isRefused && isLoopback(patient.server)) return problem('port-unused', `On port ${port}, ${words}.`)
  return problem(isRefused ? 'port-refused' : 'port-silent', `On port ${port}, ${words}.`)
}

const REFUSED = 'refuses connections'

/** Undefined if the address answers. */
async function tryAddress(address: string, port: number): Promise<string | undefined> {
  try {
    const socket = await dial([address], port, AbortSignal.timeout(CONNECT_MS))
    socket.destroy()
    return undefined
  } catch (error) {
    if (codeOf(error) === 'ECONNREFUSED') return REFUSED
    return /^E(?:NETUNREACH|HOSTUNREACH|ADDRNOTAVAIL|AFNOSUPPORT)$/.test(codeOf(error))
      ? 'has no route from this machine'
      : 'does not answer'
  }
}

/** The host of the server's URL, without the brackets of an IPv6 address. */
export function hostOf({ server }: Patient): string {
  return server.hostname.replace(/^\[|\]$/g, '')
}

async function inTime<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
