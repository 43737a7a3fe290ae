/**
 * Resolves in a later turn of the page, after what is due in between: paint, clicks, answers. Not by a timer, because in
 * a tab that is not seen each of those may take a second.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(undefined)
  })
}
