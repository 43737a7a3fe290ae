import { type DeliveredEvent, EssError, type StatusEvent } from '../../shared/index.js'
import { PIECE_BYTES } from './pieces.js'
import { uploadTo } from './reserved-upload.js'
import type { SendOptions } from './send-options.js'
import type { Source } from './source.js'
import type { UploadResource } from './upload-resource.js'

/**
 * Sends a file to an upload resource in pieces. One request does for a small file; and it has to where the server takes no
 * pieces, or the source can't be read from the middle. Rejects as `uploadTo` does.
 */
export async function uploadByPieces(
  resource: UploadResource,
  source: Source,
  options: SendOptions,
  onEvent: (event: StatusEvent) => void,
): Promise<DeliveredEvent> {
  const { reach, size = Number.POSITIVE_INFINITY } = source
  if (reach === undefined || size <= PIECE_BYTES) return await uploadTo(resource, source, options, onEvent)
  const told = new Set<StatusEvent['event']>()
  const take = (event: StatusEvent) => {
    told.add(event.event)
    onEvent(event)
  }
  return await uploadTo(resource, source, options, take, { by: 'pieces', offset: 0 }).catch(
    (error: unknown) => {
      if (!(error instanceof EssError) || error.code !== 'method-not-allowed') throw error
      // Its first events repeat the present state.
      return uploadTo(resource, source, options, (event) => {
        if (!told.delete(event.event)) onEvent(event)
      })
    },
  )
}
