import type { BundleNote } from '../../shared/index.js'
import { load } from '../http/load.js'
import type { Body } from '../seal/body.js'
import type { Parcel } from './parcel.js'

/** What goes over the wire. */
export interface Sendable {
  readonly body: Body
  /** Told in the open. */
  readonly name?: string | undefined
  readonly type?: string | undefined
  readonly bundle?: BundleNote | undefined
  /** The field `Ess-Sealed`, which has the same for the receiver alone. */
  readonly sealed?: string
  /** The secret key, which goes into the link's fragment and nowhere else. */
  readonly identity?: string
}

/** Seals a parcel: its name, its type and its bytes. Throws EssError `server-unreachable` if what it needs can't be loaded. */
export async function seal({ body: plain, name, type, bundle }: Parcel): Promise<Sendable> {
  // They are larger than all the rest of the page.
  const [{ makeHeader }, { sealBody }, { sealNote }] = await load(
    Promise.all([
      import('../seal/age.js'),
      import('../seal/sealed-body.js'),
      import('../seal/sealed-note.js'),
    ]),
  )
  const { identity, ...header } = await makeHeader()
  const { body, payloadNonce } = sealBody(plain, header)
  const sealed = sealNote(header, { name, type, size: plain.size, payloadNonce, bundle })
  return { body, sealed, identity }
}
