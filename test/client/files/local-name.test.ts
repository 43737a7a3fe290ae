import { expect, test } from 'vitest'
import { localFileName } from '../../../client/files/local-name.js'
import { safeFileName } from '../../../shared/index.js'

test.each([
  ['report.pdf', 'report.pdf'],
  ['CON', '_CON'],
  ['con.txt', '_con.txt'],
  ['Prn', '_Prn'],
  ['aux.c', '_aux.c'],
  ['NUL.tar.gz', '_NUL.tar.gz'],
  ['COM1', '_COM1'],
  ['com9.log', '_com9.log'],
  ['LPT1.', 'LPT1_'],
  ['COM¹', '_COM¹'],
  ['lpt².txt', '_lpt².txt'],
  ['LPT³', '_LPT³'],
  ['CONIN$', '_CONIN$'],
  // A device too: the spaces before the extension do not count.
  ['nul .txt', '_nul .txt'],
  ['NUL:', 'NUL_'],
  ['AUX . .txt', '_AUX . .txt'],
  // No devices.
  ['CONTRACT.pdf', 'CONTRACT.pdf'],
  ['COM10', 'COM10'],
  ['COM', 'COM'],
  ['a.con', 'a.con'],
  // Another file's stream, and its type.
  ['notes.txt:evil.exe', 'notes.txt_evil.exe'],
  ['notes.txt::$DATA', 'notes.txt__$DATA'],
  ['C:evil.exe', 'C_evil.exe'],
  ['<a>"b"|c?*', '_a__b__c__'],
  ['setup.exe.', 'setup.exe_'],
  ['setup.exe. . ', 'setup.exe____'],
])('on Windows %j is written as %j, and elsewhere as it is', (name, written) => {
  expect(localFileName(name, 'win32')).toBe(written)
  for (const platform of ['linux', 'darwin', 'freebsd'] as const)
    expect(localFileName(name, platform)).toBe(name)
})

test('the longest safe name is on Windows still one with room for .part', () => {
  const name = localFileName(safeFileName(`nul.${'é'.repeat(300)}`) ?? '', 'win32')
  expect(name).toMatch(/^_nul\.é+$/)
  expect(Buffer.byteLength(`${name}.12345678.part`)).toBeLessThanOrEqual(255)
})
