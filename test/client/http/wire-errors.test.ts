import { expect, test } from 'vitest'
import { type Stage, translate } from '../../../client/http/wire-errors.js'

const HOST = 'send.example.org'
const NOT_REACHED = `Cannot reach https://${HOST}: `
const TRUST =
  'If the server is yours, put the certificate of its authority into a file, and name that file in NODE_EXTRA_CA_CERTS. Otherwise ask its operator.'

function coded(code: string, more: object = {}): Error {
  return Object.assign(new Error(`what Node says of ${code}`), { code, ...more })
}

test.each<[string, Error, string]>([
  [
    'a port on which nothing listens',
    coded('ECONNREFUSED'),
    `No ESS server at ${HOST}:443. Check the address and the port, or ask its operator whether it runs.`,
  ],
  [
    'a name that does not exist',
    coded('ENOTFOUND'),
    `${NOT_REACHED}there is no host of that name. Check the address.`,
  ],
  [
    'no name server',
    coded('EAI_AGAIN'),
    `${NOT_REACHED}its name could not be looked up. Check your network, then try again.`,
  ],
  [
    'no network',
    coded('ENETUNREACH'),
    `${NOT_REACHED}no route leads to its network. Check your network, then try again.`,
  ],
  [
    'a firewall',
    coded('ETIMEDOUT'),
    `${NOT_REACHED}it did not answer in time. Check the address and the port. A firewall on the way may drop the connection.`,
  ],
  [
    'a certificate that has expired',
    coded('CERT_HAS_EXPIRED'),
    `${NOT_REACHED}its certificate has expired. Ask its operator to renew it. If the clock of this machine is wrong, set it.`,
  ],
  [
    'a certificate of the future',
    coded('CERT_NOT_YET_VALID'),
    `${NOT_REACHED}its certificate is not valid yet. Check the clock of this machine, or ask its operator.`,
  ],
  [
    'a certificate that it signed itself',
    coded('DEPTH_ZERO_SELF_SIGNED_CERT'),
    `${NOT_REACHED}this machine does not trust the authority that signed its certificate. ${TRUST}`,
  ],
  [
    'a certificate for another name',
    coded('ERR_TLS_CERT_ALTNAME_INVALID', {
      cert: { subjectaltname: 'DNS:a.example, IP Address:192.0.2.1' },
    }),
    `${NOT_REACHED}its certificate is for a.example, 192.0.2.1. Use a name that the certificate has, or ask its operator.`,
  ],
  [
    'a certificate without a name',
    coded('ERR_TLS_CERT_ALTNAME_INVALID', { cert: {} }),
    `${NOT_REACHED}its certificate is for another host. Use a name that the certificate has, or ask its operator.`,
  ],
  [
    'a port without TLS',
    coded('ERR_SSL_WRONG_VERSION_NUMBER'),
    `${NOT_REACHED}it does not speak TLS (wrong version number). It may speak plain HTTP: try http://${HOST}.`,
  ],
  [
    'what the table does not have',
    coded('ESOMETHING'),
    `${NOT_REACHED}what Node says of ESOMETHING. Check the address and the port, or ask its operator whether it runs.`,
  ],
])('%s is told with what to do', (_what, error, words) => {
  expect(translate(error, new URL(`https://${HOST}/`), 'connecting')).toMatchObject({
    code: 'server-unreachable',
    message: words,
  })
})

test.each<[Stage, string, string]>([
  [
    'unanswered',
    'http://h:81',
    'http://h:81 ended the connection without an answer. If the server uses TLS, try https://h:81.',
  ],
  [
    'unanswered',
    'https://h',
    'https://h ended the connection without an answer. Check your network, then try again.',
  ],
  [
    'answered',
    'http://h:81',
    'The connection to http://h:81 was lost before the transfer was over. Check your network, then try again.',
  ],
])('a connection that breaks %s: %s', (stage, url, words) => {
  expect(translate(coded('ECONNRESET'), new URL(url), stage)).toMatchObject({
    code: 'connection-lost',
    message: words,
  })
})
