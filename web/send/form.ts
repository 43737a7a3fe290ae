import { EssError, formatBytes, problemSentences } from '../../shared/index.js'
import type { Facts } from '../facts.js'
import { element } from '../ui/element.js'
import { WORDS } from '../words.js'
import { Chosen } from './chosen.js'
import { addDropped } from './dropped.js'
import { keepToken, keptToken } from './token.js'

const words = WORDS.choose

/** What a person wants to send, and how. */
export interface Wish {
  /** Files and folders, or a text. */
  readonly what: Chosen | string
  readonly isSealed: boolean
  readonly token: string | undefined
}

/** The form in which a person chooses. It is kept while a transfer goes on, so that it can be sent again. */
export class SendForm {
  readonly root: HTMLElement
  readonly #onWish: (wish: Wish) => Promise<void>
  readonly #chosen = new Chosen()
  readonly #list = element('ul', { className: 'chosen', set: { 'aria-label': words.chosen } })
  readonly #sum = element('p', { className: 'sum', set: { role: 'status' } })
  readonly #text = element('textarea', { rows: 3, name: 'text', spellcheck: false })
  readonly #sealed = element('input', { type: 'checkbox', name: 'sealed', checked: true })
  readonly #token = element('input', { type: 'password', name: 'token', autocomplete: 'off' })
  readonly #tokenField = element(
    'label',
    { className: 'field' },
    words.token,
    this.#token,
    element('small', {}, words.tokenHint),
  )
  readonly #error = element('p', { className: 'error', set: { role: 'alert' } })
  readonly #button = element('button', { type: 'submit' }, words.send)

  /** `onWish` rejects with the EssError that the form should show. */
  constructor(facts: Facts, onWish: (wish: Wish) => Promise<void>) {
    this.#onWish = onWish
    this.#token.value = keptToken()
    this.#tokenField.hidden = !facts.needsTokenToSend
    const form = element(
      'form',
      { className: 'send' },
      this.#dropZone(),
      this.#list,
      this.#sum,
      element('label', { className: 'field' }, words.text, this.#text),
      element(
        'label',
        { className: 'switch' },
        this.#sealed,
        element('span', {}, words.sealed),
        element('small', {}, words.sealedHint),
      ),
      this.#tokenField,
      ...(facts.resumeWithin === 0 ? [element('p', { className: 'hint' }, words.noPieces)] : []),
      this.#error,
      this.#button,
    )
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#submit()
    })
    this.root = element('div', {}, element('h1', {}, WORDS.title), element('p', {}, words.intro), form)
    this.#acceptDrops()
  }

  /** Shows why it can't be sent. Asks for a token where that is the reason. */
  refuse(error: unknown): void {
    if (!(error instanceof EssError)) throw error
    if (error.code === 'unauthorized') {
      this.#say(this.#tokenField.hidden || this.#token.value === '' ? words.tokenHint : words.tokenRefused)
      this.#tokenField.hidden = false
      keepToken('')
      this.#token.focus()
      this.#token.select()
      return
    }
    this.#say(error.code === 'server-unreachable' ? WORDS.ending.offline : problemSentences(error))
  }

  /** Forgets what was chosen. */
  clear(): void {
    this.#chosen.clear()
    this.#text.value = ''
    this.#show()
  }

  #dropZone(): HTMLElement {
    const files = element('input', { type: 'file', multiple: true, name: 'files' })
    const folder = element('input', { type: 'file', multiple: true, name: 'folder', webkitdirectory: true })
    for (const input of [files, folder]) {
      input.addEventListener('change', () => {
        for (const file of input.files ?? []) this.#chosen.addFile(file.webkitRelativePath || file.name, file)
        // The same file may be chosen again after it was removed.
        input.value = ''
        this.#show()
      })
    }
    return element(
      'div',
      { className: 'drop' },
      element('label', { className: 'button' }, words.files, files),
      element('label', { className: 'button' }, words.folder, folder),
      element('p', {}, words.drop),
    )
  }

  /** A file that is dropped beside its place must not take the page's. */
  #acceptDrops(): void {
    const accept = (event: DragEvent) => {
      if (event.dataTransfer?.types.includes('Files') !== true) return
      event.preventDefault()
      if (!this.root.isConnected) event.dataTransfer.dropEffect = 'none'
      this.root.classList.toggle('dropping', event.type === 'dragover')
    }
    document.addEventListener('dragover', accept)
    document.addEventListener('dragleave', accept)
    document.addEventListener('drop', (event) => {
      accept(event)
      const items = event.dataTransfer?.items
      if (items === undefined || !this.root.isConnected) return
      addDropped(items, this.#chosen).then(
        () => this.#show(),
        (error: unknown) => {
          this.#show()
          this.refuse(error)
        },
      )
    })
  }

  #show(): void {
    const { tops, files, size } = this.#chosen
    this.#say('')
    this.#list.replaceChildren(...tops.map((top) => this.#row(top)))
    this.#sum.textContent = files.size > 1 ? WORDS.sum(files.size, size) : ''
    this.#text.disabled = tops.length > 0
  }

  #row(top: string): HTMLElement {
    const size = this.#chosen.files.get(top)?.size
    const remove = element('button', { type: 'button', set: { 'aria-label': words.remove(top) } }, '×')
    remove.addEventListener('click', () => {
      this.#chosen.remove(top)
      this.#show()
    })
    return element(
      'li',
      {},
      element('span', { className: 'name' }, top),
      element('span', { className: 'size' }, size === undefined ? words.folderMark : formatBytes(size)),
      remove,
    )
  }

  async #submit(): Promise<void> {
    if (this.#button.disabled) return
    this.#say('')
    const what = this.#chosen.isEmpty ? this.#text.value : this.#chosen
    if (what === '') {
      this.#say(words.nothing)
      return
    }
    const token = this.#token.value.trim()
    keepToken(token)
    this.#button.disabled = true
    try {
      await this.#onWish({
        what,
        isSealed: this.#sealed.checked,
        token: token === '' ? undefined : token,
      })
    } catch (error) {
      this.refuse(error)
    } finally {
      this.#button.disabled = false
    }
  }

  #say(text: string): void {
    this.#error.textContent = text
  }
}
