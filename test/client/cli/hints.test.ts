import { describe, expect, test } from 'vitest'
import { receivingLines, type Sent, shortLink } from '../../../client/cli/hints.js'
import { needs } from '../../helpers/needs.js'
import { run } from '../../helpers/run.js'

const ID = 'AbCdEfGhIjKl'
const KEY = `AGE-SECRET-KEY-1${'QZ'.repeat(29)}`
const FILE: Sent = { name: "Tom's report.pdf", what: undefined, kind: 'file', lock: 'none' }
const LINK = `https://send.example.org/${ID}`

function openedAt(url: string) {
  return { event: 'opened', v: 1, id: ID, url, ttl: 600, expires: '', maxUploadBytes: 0 } as const
}

function linesFor(url: string, sent: Partial<Sent>): readonly string[] {
  return receivingLines(openedAt(url), { ...FILE, ...sent }).lines
}

describe('the lines for the receiver', () => {
  test.each<[string, string, Partial<Sent>, string, string]>([
    ['a file', `${LINK}/f`, {}, `ess get ${LINK}`, `curl -fo 'Tom'\\''s report.pdf' '${LINK}/f'`],
    ['a pipe', LINK, { name: undefined }, `ess get ${LINK}`, `curl -fo 'ess-${ID}' '${LINK}'`],
    ['a text', LINK, { kind: 'text', name: undefined }, `ess get ${LINK}`, `curl -f '${LINK}'`],
    [
      'a folder',
      `${LINK}/photos.tar`,
      { kind: 'bundle', name: 'photos.tar' },
      `ess get ${LINK}`,
      `curl -f '${LINK}/photos.tar' | tar x`,
    ],
    [
      'a file with the key in the link',
      `${LINK}#${KEY}`,
      { lock: 'key in the link' },
      `ess get '${LINK}#${KEY}'`,
      `curl -f '${LINK}' | age -d -i <(echo ${KEY}) > 'Tom'\\''s report.pdf'`,
    ],
    [
      'a text with the key in the link',
      `${LINK}#${KEY}`,
      { kind: 'text', name: undefined, lock: 'key in the link' },
      `ess get '${LINK}#${KEY}'`,
      `curl -f '${LINK}' | age -d -i <(echo ${KEY})`,
    ],
    [
      'a folder with the key in the link',
      `${LINK}#${KEY}`,
      { kind: 'bundle', name: 'photos.tar', lock: 'key in the link' },
      `ess get '${LINK}#${KEY}'`,
      `curl -f '${LINK}' | age -d -i <(echo ${KEY}) | tar x`,
    ],
    [
      'a file for a key of the receiver',
      LINK,
      { lock: 'own key', name: 'f' },
      `ess get -i FILE ${LINK}`,
      `curl -f '${LINK}' | age -d -i FILE > 'f'`,
    ],
    [
      'a file with a password',
      LINK,
      { lock: 'password', name: 'f' },
      `ess get ${LINK}`,
      `curl -f '${LINK}' | age -d > 'f'`,
    ],
    [
      'a link of the usual server, with its key',
      `http://127.0.0.1:9000/${ID}#${KEY}`,
      { lock: 'key in the link', name: 'f' },
      `ess get '${ID}#${KEY}'`,
      `curl -f 'http://127.0.0.1:9000/${ID}' | age -d -i <(echo ${KEY}) > 'f'`,
    ],
  ])('of %s', (_what, url, sent, ours, theirs) => {
    expect(linesFor(url, sent)).toEqual([ours, theirs])
  })

  test('have no more of a hostile server than quotes keep harmless', () => {
    const url = `https://h.example/x';rm -rf ~;'/${ID}#${KEY}`
    for (const line of linesFor(url, { lock: 'key in the link', name: 'f' }))
      expect(line).toContain('https://h.example/x%27;rm -rf ~;%27/')
    // A fragment that we have not put there goes into no line but the link itself.
    expect(linesFor(`${LINK}#${KEY}`, { name: 'f' })[0]).toBe(`ess get ${LINK}`)
  })

  test.each<[Sent['lock'], RegExp, RegExp]>([
    ['none', /open the link, or type either/, /^The link works once\. Keep this running/],
    ['key in the link', /machine, type either/, /The key is in it, so give it to the receiver alone\./],
    ['password', /machine, type either/, /^The link works once\. Keep this running/],
  ])('say what a browser can do, and where the key is: %s', (lock, title, advice) => {
    const hints = receivingLines(openedAt(LINK), { ...FILE, lock })
    expect(hints.title).toMatch(title)
    expect(hints.advice).toMatch(advice)
  })

  test('are words of a shell: it gets the link and the key as they are', async (context) => {
    needs(context, 'bash')
    const [ours = '', theirs = ''] = linesFor(`${LINK}#${KEY}`, { lock: 'key in the link' })
    const script = `cd "$(mktemp -d)"; ess() { printf '%s\\n' "$@"; }; curl() { printf '%s\\n' "$@"; }
age() { printf '%s ' "$1" "$2"; cat "$3" -; }
${ours}; ${theirs}; cat "Tom's report.pdf"`
    const { stdout, stderr } = await (await run('bash', 'bash', ['-c', script])).ended()
    expect([stdout.toString(), stderr]).toEqual([`get\n${LINK}#${KEY}\n-d -i ${KEY}\n-f\n${LINK}\n`, ''])
  })
})

test.each([
  [LINK, LINK],
  [`${LINK}/report.pdf`, LINK],
  [`${LINK}#${KEY}`, `${LINK}#${KEY}`],
  ['https://h.example/other', 'https://h.example/other'],
])('the short form of %s', (url, short) => {
  expect(shortLink(openedAt(url))).toBe(short)
})
