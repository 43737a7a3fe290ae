import { EssError, formatBytes, problemSentences } from '../../shared/index.js'
import { COMMON } from '../../shared/page-words.js'
import { SENDING } from '../../shared/page-words-sending.js'
import type { Facts } from '../facts.js'
import { button } from '../ui/button.js'
import { element } from '../ui/element.js'
import { fileButton } from '../ui/file-button.js'
import { IS_PHONE } from '../ui/phone.js'
import { Chosen, type FolderSum } from './chosen.js'
import { addDropped } from './dropped.js'
import { keepToken, keptToken } from './token.js'

/** What a token may have in it. */
const TOKEN = /^[\x21-\x7e]*$/

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
  readonly #list = element('ul', { className: 'list', set: { 'aria-label': SENDING.chosen } })
  readonly #sum = element('p', { className: 'sum', set: { role: 'status' } })
  readonly #files = fileButton(SENDING.files, {
    name: 'files',
    isMultiple: true,
    onChosen: (files) => this.#add(files),
  })
  readonly #folder = fileButton(SENDING.folder, {
    name: 'folder',
    isMultiple: true,
    isFolder: true,
    look: 'quiet',
    onChosen: (files) => this.#add(files),
  })
  readonly #drop = this.#dropZone()
  readonly #text = element('textarea', { rows: 3, name: 'text', spellcheck: false })
  readonly #textField = element('label', { className: 'field' }, SENDING.typeText, this.#text)
  readonly #sealed = element('input', { type: 'checkbox', name: 'sealed', checked: true })
  readonly #sealedHint = element('small', {}, SENDING.encrypted)
  readonly #token = element('input', { type: 'password', name: 'token', autocomplete: 'off' })
  readonly #tokenField = element(
    'label',
    { className: 'field' },
    SENDING.token,
    this.#token,
    element('small', {}, SENDING.tokenHint),
  )
  /** Above the button, where the person looks who has just pressed it. */
  readonly #error = element('p', { id: 'error', className: 'error', set: { role: 'alert' } })
  readonly #button = element('button', { type: 'submit', hidden: true }, SENDING.send)
  /** What is only asked of someone who has something to send. */
  readonly #rest: HTMLElement

  /** `onWish` rejects with the EssError that the form should show. */
  constructor(facts: Facts, onWish: (wish: Wish) => Promise<void>) {
    this.#onWish = onWish
    this.#token.value = keptToken()
    this.#tokenField.hidden = !facts.needsTokenToSend
    this.#folder.button.hidden = IS_PHONE
    this.#rest = element(
      'div',
      { className: 'stack', hidden: true },
      element(
        'label',
        { className: 'switch' },
        this.#sealed,
        element('span', {}, SENDING.encrypt),
        this.#sealedHint,
      ),
      this.#tokenField,
      ...(facts.resumeWithin === 0 ? [element('p', {}, SENDING.noPieces)] : []),
    )
    const form = element(
      'form',
      {},
      this.#list,
      this.#sum,
      this.#drop,
      this.#textField,
      this.#rest,
      this.#error,
      this.#button,
    )
    this.#sealed.addEventListener('change', () => {
      const isSealed = this.#sealed.checked
      this.#sealedHint.textContent = isSealed ? SENDING.encrypted : SENDING.notEncrypted
      this.#sealedHint.classList.toggle('warning', !isSealed)
    })
    this.#text.addEventListener('input', () => this.#showRest())
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#submit()
    })
    this.root = element(
      'div',
      {},
      element('h1', { tabIndex: -1 }, COMMON.sendTitle),
      element('p', {}, SENDING.intro),
      form,
    )
    this.#acceptDrops()
  }

  /** For a keyboard that comes back from a transfer. */
  focus(): void {
    this.root.querySelector('h1')?.focus()
  }

  /** Sends what was chosen once more. */
  sendAgain(): void {
    void this.#submit()
  }

  /** Shows why it can't be sent. Asks for a token where that is the reason. */
  refuse(error: unknown): void {
    if (!(error instanceof EssError)) throw error
    if (error.code === 'unauthorized') {
      this.#say(this.#token.value.trim() === '' ? SENDING.tokenNeeded : SENDING.tokenRefused)
      this.#rest.hidden = false
      this.#tokenField.hidden = false
      this.#token.setAttribute('aria-invalid', 'true')
      this.#token.setAttribute('aria-describedby', this.#error.id)
      keepToken('')
      this.#token.focus()
      this.#token.select()
      return
    }
    this.#say(error.code === 'server-unreachable' ? COMMON.unreachable : problemSentences(error))
  }

  /** Forgets what was chosen. */
  clear(): void {
    this.#chosen.clear()
    this.#text.value = ''
    this.#show()
  }

  #dropZone(): HTMLElement {
    return element(
      'div',
      { className: 'drop' },
      element(
        'div',
        { className: 'buttons' },
        this.#files.button,
        this.#folder.button,
        this.#files.field,
        this.#folder.field,
      ),
      element('p', { className: 'hint' }, SENDING.drop),
    )
  }

  #add(files: readonly File[]): void {
    const adding = this.#chosen.add()
    for (const file of files) adding.file(file.webkitRelativePath || file.name, file)
    this.#show()
    if (this.#chosen.isEmpty) return
    // The next step, and one key away.
    const needsToken = !this.#tokenField.hidden && this.#token.value === ''
    const next = needsToken ? this.#token : this.#button
    next.focus()
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
    const folders = this.#chosen.folderSums()
    this.#list.replaceChildren(...tops.map((top) => this.#row(top, folders.get(top))))
    this.#sum.textContent = tops.length > 0 ? SENDING.sum(files.size, size) : ''
    const hasFiles = tops.length > 0
    // The list says it of a single file; a screen reader is told.
    this.#sum.classList.toggle('unseen', files.size < 2)
    this.#text.disabled = hasFiles
    this.#textField.hidden = hasFiles && this.#text.value === ''
    // To send is what is meant now; to add more is possible.
    this.root.classList.toggle('has-files', hasFiles)
    this.#files.button.textContent = hasFiles ? SENDING.moreFiles : SENDING.files
    this.#folder.button.textContent = hasFiles ? SENDING.moreFolder : SENDING.folder
    this.#showRest()
  }

  #showRest(): void {
    const isEmpty = this.#chosen.isEmpty && this.#text.value === ''
    this.#rest.hidden = isEmpty
    this.#button.hidden = isEmpty
    this.#files.button.classList.toggle('quiet', !isEmpty)
  }

  /** A row of the list. `folder` is undefined for a file. */
  #row(top: string, folder: FolderSum | undefined): HTMLElement {
    const { size = 0 } = this.#chosen.files.get(top) ?? {}
    const remove = button(
      '×',
      () => {
        this.#chosen.remove(top)
        this.#show()
        // The button that had the focus is gone.
        this.#files.button.focus()
      },
      'quiet',
    )
    remove.setAttribute('aria-label', SENDING.remove(top))
    return element(
      'li',
      {},
      element('span', { className: 'name' }, top),
      element(
        'span',
        { className: 'size' },
        folder === undefined ? formatBytes(size) : SENDING.sum(folder.count, folder.bytes),
      ),
      remove,
    )
  }

  async #submit(): Promise<void> {
    if (this.#button.disabled) return
    this.#say('')
    this.#token.removeAttribute('aria-invalid')
    const what = this.#chosen.isEmpty ? this.#text.value : this.#chosen
    if (what === '') {
      this.#say(SENDING.nothing)
      return
    }
    const token = this.#token.value.trim()
    // No server has such a token, and some of these characters a browser can't even send.
    if (!TOKEN.test(token)) {
      this.refuse(new EssError('unauthorized'))
      return
    }
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
