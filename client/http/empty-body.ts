/** An empty body: without one, got waits for the body of a POST or a DELETE. */
export async function* emptyBody(): AsyncGenerator<Uint8Array> {}
