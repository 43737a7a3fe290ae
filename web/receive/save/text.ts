import type { Way } from './sink.js'

/** Keeps a text, to be shown. */
export function toText(): Way & { readonly text: string } {
  let text = ''
  const utf8 = new TextDecoder()
  return {
    get text() {
      return text
    },
    open: () =>
      Promise.resolve({
        write(bytes) {
          text += utf8.decode(bytes, { stream: true })
          return Promise.resolve()
        },
        close() {
          text += utf8.decode()
          return Promise.resolve({ way: 'shown' })
        },
        abort: () => Promise.resolve(),
      }),
    drop: () => Promise.resolve(),
  }
}
