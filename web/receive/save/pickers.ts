/** What TypeScript doesn't know of the File System Access API (WICG), which only Chromium has. */
export interface FileHandle extends FileSystemFileHandle {
  readonly remove?: () => Promise<void>
}

interface Pickers {
  readonly showSaveFilePicker?: (options: { readonly suggestedName: string }) => Promise<FileHandle>
  readonly showDirectoryPicker?: (options: {
    readonly mode: 'readwrite'
  }) => Promise<FileSystemDirectoryHandle>
}

/** The pickers of this browser, if it has any. */
export function pickers(): Pickers {
  return window as Pickers
}

/**
 * Lets the person pick. Undefined if they have picked nothing; `not here` if this browser doesn't let this page ask, so
 * that another way is needed.
 */
export async function picked<Handle>(pick: () => Promise<Handle>): Promise<Handle | 'not here' | undefined> {
  try {
    return await pick()
  } catch (error) {
    return error instanceof DOMException && error.name === 'AbortError' ? undefined : 'not here'
  }
}
