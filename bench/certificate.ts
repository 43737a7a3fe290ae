import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Certificate } from './subjects.js'

/** Makes a key pair for this run in `folder`. Throws where there is no openssl. */
export function makeCertificate(folder: string): Certificate {
  const [certificate, key, bundle] = ['certificate.pem', 'key.pem', 'bundle.pem'].map((name) =>
    join(folder, name),
  ) as [string, string, string] // three names make three paths
  execFileSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ],
      ...['-subj', '/CN=localhost', '-keyout', key, '-out', certificate],
    ],
    { stdio: 'ignore' },
  )
  writeFileSync(bundle, readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'))
  return { certificate, key, bundle }
}
