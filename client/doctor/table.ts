import { checkEarly } from './checks/early.js'
import { checkCuts, checkLeaving } from './checks/endings.js'
import { checkBody, checkTrailer, checkWhole } from './checks/flow.js'
import { checkHttp2 } from './checks/http2.js'
import { checkIdle } from './checks/idle.js'
import { checkLimit } from './checks/limit.js'
import { checkLink } from './checks/link.js'
import { checkRanges } from './checks/ranges.js'
import { checkName, checkPort, checkProxy } from './checks/reach.js'
import { checkClock, checkRefusals, checkServer, checkToken, checkVersion } from './checks/server.js'
import { checkTls } from './checks/tls.js'
import type { Finding } from './finding.js'
import type { Patient } from './patient.js'

export interface Check {
  /** Its name in the report. */
  readonly name: string
  /** The question that it answers; for docs/doctor.md. */
  readonly asks: string
  /** The checks without which it can't be made. */
  readonly needs: readonly string[]
  readonly make: (patient: Patient) => Promise<Finding>
}

/** Every check, in the order of the report. */
export const CHECKS: readonly Check[] = [
  {
    name: 'proxy',
    asks: "Does this machine's environment name a proxy (HTTPS_PROXY)?",
    needs: [],
    make: checkProxy,
  },
  { name: 'name', asks: 'Does the name have addresses?', needs: ['proxy'], make: checkName },
  {
    name: 'port',
    asks: 'Does the port answer, at each address by itself?',
    needs: ['name'],
    make: checkPort,
  },
  {
    name: 'TLS',
    asks: 'Can the certificate be trusted, is its chain whole, and for how long is it good?',
    needs: ['port'],
    make: checkTls,
  },
  { name: 'server', asks: 'Is it ESS?', needs: ['TLS'], make: checkServer },
  { name: 'version', asks: 'Is its version that of this client?', needs: ['server'], make: checkVersion },
  { name: 'clock', asks: 'Do the two clocks agree, to a minute?', needs: ['server'], make: checkClock },
  { name: 'token', asks: 'Is a token asked for, and is yours taken?', needs: ['server'], make: checkToken },
  {
    name: 'refusals',
    asks: "Do the server's refusals of a POST and a PUT arrive in its own words?",
    needs: ['token'],
    make: checkRefusals,
  },
  {
    name: 'early response',
    asks: 'Does the link come before the body?',
    needs: ['refusals'],
    make: checkEarly,
  },
  { name: 'link', asks: 'Do links lead back to this server?', needs: ['early response'], make: checkLink },
  {
    name: 'HTTP/2',
    asks: 'Does HTTP/2 work where it is offered, and take an upload of unknown length?',
    needs: ['early response'],
    make: checkHttp2,
  },
  {
    name: 'body',
    asks: 'Do bytes arrive while the sender holds back the rest?',
    needs: ['early response'],
    make: checkBody,
  },
  {
    name: 'whole',
    asks: 'Is a whole transfer told as one, to both sides?',
    needs: ['body'],
    make: checkWhole,
  },
  { name: 'cuts', asks: 'Does a broken download look broken?', needs: ['body'], make: checkCuts },
  {
    name: 'leaving',
    asks: 'Is a sender told when its receiver leaves?',
    needs: ['body'],
    make: checkLeaving,
  },
  {
    name: 'length',
    asks: 'Does the length at the end of a download of unknown length arrive?',
    needs: ['body'],
    make: checkTrailer,
  },
  {
    name: 'ranges',
    asks: 'Is a request for a part refused, as it should be?',
    needs: ['early response'],
    make: checkRanges,
  },
  {
    name: 'size',
    asks: 'Does anything on the way limit the size of an upload?',
    needs: ['early response'],
    make: checkLimit,
  },
  {
    name: 'idle',
    asks: 'With --long: what cuts a connection on which nothing moves?',
    needs: ['early response'],
    make: checkIdle,
  },
]
