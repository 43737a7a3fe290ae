import { button } from './button.js'
import { element } from './element.js'

/** Which files a person can choose. */
export interface FileButtonOptions {
  readonly name: string
  readonly isMultiple?: boolean
  /** A whole folder in place of files. */
  readonly isFolder?: boolean
  readonly look?: '' | 'quiet'
  readonly onChosen: (files: readonly File[]) => void
}

/**
 * A button that lets a person choose files. A browser's own field is no button: in some of them the enter key sends the form in
 * place of opening the dialog.
 */
export function fileButton(
  text: string,
  { name, isMultiple = false, isFolder = false, look = '', onChosen }: FileButtonOptions,
): { readonly button: HTMLButtonElement; readonly field: HTMLInputElement } {
  const field = element('input', {
    type: 'file',
    name,
    multiple: isMultiple,
    webkitdirectory: isFolder,
    hidden: true,
  })
  field.addEventListener('change', () => {
    const files = [...(field.files ?? [])]
    // The same file may be chosen again.
    field.value = ''
    onChosen(files)
  })
  return { button: button(text, () => field.click(), look), field }
}
