import { setTimeout as delay } from 'node:timers/promises'
import type { StatusEvent } from '../../shared/index.js'
import { startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'
import { isHeardToLack, isHiddenHere } from './behind-balancer.js'
import { CUT_OFF, NO_LINK, RESET, SILENCE, thenNext, WHOLE } from './expectations.js'
import { floodTo } from './flood.js'
import { EFFECTS, FAULTS, type Leg, versionOf } from './matrix.js'
import type { Answer, OutgoingFile, Peer } from './peer.js'
import {
  type Arena,
  AS_EVENTS,
  beforeItIsAsked,
  END_MS,
  HALF_BYTES,
  INTO_BYTES,
  MissedItsMoment,
  settle,
  wasUnfound,
} from './play.js'
import { asked, comesBackBeforeTheEnd, type ResumableObservation } from './resumable-expectations.js'
import type { ResumableCell, ResumablePhase } from './resumable-matrix.js'
import { eventsOf, finalVerdict, problemIn, streamVerdict } from './views.js'

/** The first piece of a file that comes in pieces; the second one is the rest. */
const PIECE_BYTES = HALF_BYTES / 2

/** Plays one cell from its opening to its end. Rejects where a truth is broken that no table excuses. */
export async function playResumable(
  cell: ResumableCell,
  arena: Arena,
  index: number,
): Promise<ResumableObservation> {
  const stage = new ResumableStage(cell, arena, index)
  try {
    return await stage.play()
  } catch (error) {
    const words = `${error instanceof Error ? error.message : error}; ${stage.soFar()}`
    if (!(error instanceof MissedItsMoment) && !stage.wasUnfound()) throw new Error(words)
    await stage.giveUp()
    throw new MissedItsMoment(words)
  } finally {
    await stage.close()
  }
}

class ResumableStage {
  readonly #cell: ResumableCell
  readonly #arena: Arena
  readonly #bytes: Buffer
  readonly #peers: Peer[] = []
  readonly #proxies: TcpProxy[] = []
  /** Where the fault strikes. */
  #proxy: TcpProxy | undefined
  /** The request of each side that counts now. */
  #sender: Peer | undefined
  #receiver: Peer | undefined
  /** Of the bytes that the receiver's requests before this one brought, those that it kept. */
  #kept = Buffer.alloc(0)
  /** Follows the upload resource from its first token on, and is never hurt. */
  #follower: Peer | undefined
  /** The upload resource that takes bytes now, and the first one. */
  #uploadPath = '/'
  #firstUploadPath = ''
  #downloadPath = ''
  #hasGoneOn = false
  /** The last piece is under way, or the rest after a return. */
  #isLastRequest = false
  /** What the sender's upload resource told it, which had no answer of its own. */
  #toldByAsking: string | undefined
  /** What the peer saw whose request never was whole, or that left before its time came. */
  #early: { readonly leg: Leg; readonly view: string } | undefined

  constructor(cell: ResumableCell, arena: Arena, index: number) {
    this.#cell = cell
    this.#arena = arena
    this.#isLastRequest = cell.way !== 'pieces'
    const words = `cell ${index} `
    // More than the kernels on the way hold, where a receiver that is silent has to stand in the way.
    const secondHalf = isFlood(cell)
      ? floodTo(versionOf(cell.version, 'receiver'))
      : Buffer.alloc(HALF_BYTES + index, `${words}second half `)
    this.#bytes = Buffer.concat([Buffer.alloc(HALF_BYTES, words), secondHalf])
  }

  async play(): Promise<ResumableObservation> {
    const { way, leg, phase } = this.#cell
    if (way !== 'early response') await this.#reserve()
    if (leg === 'receiver' && phase === 'waiting') {
      this.#receiver = await this.#receiverAsks()
      await this.#settle()
      await this.#strike()
      if (this.#effect === 'cut') {
        // The next one would find it busy.
        await this.#settle()
        await this.#replaceReceiver()
      }
    }
    if (!(await this.#senderAsks())) {
      const view = this.#early?.view ?? SILENCE
      return { outcome: 'none', sender: view, receiver: NO_LINK, wentOn: false }
    }
    await this.#transfer()
    return await this.#end()
  }

  /** For the message of a failure. */
  soFar(): string {
    const words = [this.#follower, this.#sender, this.#receiver].map((peer, at) => {
      const { status, headers, body, isComplete } = peer?.answer() ?? {}
      return `${['follower', 'sender', 'receiver'][at]}: ${JSON.stringify({
        status,
        range: headers?.['content-range'],
        body: at < 2 || (status ?? 0) >= 400 ? String(body).slice(-700) : body?.length,
        isComplete,
        ended: peer?.ended(),
      })}`
    })
    return words.join('; ')
  }

  wasUnfound(): boolean {
    return wasUnfound(this.#peers)
  }

  /** Else the server would wait for both sides to come back. */
  async giveUp(): Promise<void> {
    // Its sender was told nothing yet.
    if (this.#uploadPath === '/') return
    const asked = async () => (await this.#ask('DELETE', this.#uploadPath)).status !== 503
    await until('the transfer is given up', asked)
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) peer.destroy()
    await Promise.all(this.#proxies.map((proxy) => proxy.close()))
  }

  get #effect(): 'harmless' | 'cut' | 'swallowed' {
    return EFFECTS[this.#cell.fault]
  }

  get #size(): number {
    return this.#bytes.length
  }

  /** From the first meeting of both sides to the end, or to where a side stays away. */
  async #transfer(): Promise<void> {
    const { leg, phase, comesBack, length } = this.#cell
    if (leg === 'sender' && phase === 'waiting') {
      await this.#strike()
      if (this.#effect === 'cut') await this.#settle()
      if (this.#effect !== 'harmless') {
        if (!comesBack && this.#effect === 'cut') await this.#untilTold('failed')
        // One of the lengths has it come back before there is a receiver, and the other one after.
        if (comesBack && length === 'known') await this.#senderGoesOn()
        this.#receiver = await this.#receiverAsks()
        if (comesBack && length === 'unknown') await this.#senderGoesOn()
        return comesBack ? await this.#finish() : undefined
      }
    }
    this.#receiver ??= await this.#receiverAsks()
    await this.#untilTold('connected')
    if (leg === 'receiver' && phase === 'waiting' && this.#effect === 'swallowed') {
      await this.#sendOn()
      return comesBack ? await this.#bothGoOn() : undefined
    }
    for (const [at, bytes, send] of this.#steps()) {
      await send()
      await this.#untilReceived(bytes)
      if (phase !== at) continue
      await this.#strike()
      if (this.#effect === 'harmless') continue
      const isSilent = leg === 'receiver' && this.#effect === 'swallowed'
      // Only bytes that can't get on show that a receiver is silent, unless it comes back and proves who it is.
      if (isSilent && (!comesBack || at === 'connected')) await this.#sendOn()
      if (comesBack) return await this.#allGoesOn()
      // The sender knows of nothing.
      if (at === 'between' && !isSilent) await this.#sendRest(PIECE_BYTES)
      return
    }
    const expectInTime = beforeItIsAsked(this.#cell)
    this.#sender?.sendTo('end')
    await this.#finish(expectInTime)
  }

  /** The moments between the first byte and the last, how many bytes the receiver has then, and how they are sent. */
  #steps(): readonly (readonly [ResumablePhase, number, () => Promise<void>])[] {
    const { way, length } = this.#cell
    const nothing = async () => {}
    const between = ['between', PIECE_BYTES, () => this.#endFirstPiece()] as const
    const midway = async () => {
      if (way === 'pieces') await this.#sendRest(PIECE_BYTES)
      this.#sender?.sendTo('midway')
    }
    return [
      ['connected', 0, nothing],
      ...(way === 'pieces' ? [between] : []),
      ['midway', HALF_BYTES, midway],
      ['last', this.#size - (length === 'known' ? 1 : 0), async () => this.#sender?.sendTo('last')],
    ]
  }

  /** All bytes are sent; the receiver confirms them, and the sender is told. */
  async #finish(expectInTime: () => void = () => undefined): Promise<void> {
    const { leg, phase, fault, comesBack } = this.#cell
    await until('the receiver has all', () => this.#receiver?.answer()?.isComplete, END_MS)
    if (isHiddenHere(this.#cell)) await until("the server's end has come", () => this.#receiver?.ended())
    if (phase === 'unconfirmed') {
      await this.#strike()
      if (this.#effect === 'cut') await this.#settle()
      expectInTime()
      // A reset says that the file is not safe there: the receiver comes back for the second half.
      if (isHeardToLack(this.#cell) && comesBack) return await this.#bothGoOn(HALF_BYTES)
      const isUnheard = leg === 'sender' && this.#effect !== 'harmless' && !this.#isHalfHeard
      if (!isUnheard || !comesBack) return this.#receiver?.close()
      const isInTime = comesBackBeforeTheEnd(this.#cell)
      if (isInTime) await this.#senderGoesOn()
      this.#receiver?.close()
      if (!isInTime) await this.#askVerdict()
      return
    }
    if (phase !== 'verdict') return this.#receiver?.close()
    if (this.#cell.way === 'early response') await this.#untilToldOf(this.#size)
    const struck = this.#proxy?.arm(FAULTS[fault], 'down', INTO_BYTES)
    expectInTime()
    this.#receiver?.close()
    if (this.#effect === 'harmless' || this.#isHalfHeard || !comesBack) return
    await within(DEADLINE_MS, 'the fault strikes the verdict', Promise.resolve(struck))
    await this.#askVerdict()
  }

  get #isHalfHeard(): boolean {
    const { fault, version, leg } = this.#cell
    return fault === 'half-close' && versionOf(version, leg) === 'HTTP/1.1'
  }

  async #allGoesOn(): Promise<void> {
    if (this.#cell.leg === 'receiver') return await this.#bothGoOn()
    await this.#senderGoesOn()
    await this.#finish()
  }

  /** The sender asks where to go on, and brings the rest by another request. */
  async #senderGoesOn(): Promise<void> {
    this.#hasGoneOn = true
    const offset = await this.#askWhere()
    if (offset === undefined) throw new Error('It is over')
    await this.#sendRest(offset, 'direct')
    this.#sender?.sendTo('end')
  }

  /**
   * The receiver comes back for what it lacks, and the sender brings it. It has kept all that came, or the first `keeps`
   * bytes.
   */
  async #bothGoOn(keeps?: number): Promise<void> {
    this.#hasGoneOn = true
    const { leg, phase } = this.#cell
    const had = this.#receiver?.answer()
    const isServed = had?.status === 200
    this.#kept = isServed ? Buffer.from(had.body.subarray(0, keeps)) : Buffer.alloc(0)
    // The sender of pieces is not asked to rewind, where it has not gone on yet.
    const isBetween = phase === 'between'
    if (isBetween && this.#effect === 'cut') await this.#untilTold('interrupted')
    await this.#receiverComesBack(isServed && this.#kept.length > 0, isBetween)
    if (isBetween) await this.#settle()
    const offset = isBetween ? await this.#askWhere() : await this.#followRewind()
    if (offset !== this.#kept.length) {
      throw new Error(`The ${leg} needs byte ${this.#kept.length}, and the sender was asked for ${offset}`)
    }
    await this.#sendRest(offset)
    this.#sender?.sendTo('end')
    await until('the receiver has the rest', () => this.#receiver?.answer()?.isComplete, END_MS)
    this.#checkRest()
    this.#receiver?.close()
  }

  /** As a client does that is told that the link is busy, because its old connection looks alive. */
  async #receiverComesBack(isGoingOn: boolean, isServedSilently: boolean): Promise<void> {
    const from = this.#kept.length
    const tag = `"${this.#downloadPath.slice(1)}"`
    const offset =
      this.#cell.length === 'known' ? { Range: `bytes=${from}-` } : { 'Ess-Offset': String(from) }
    const headers = isGoingOn ? { ...offset, 'If-Match': tag } : {}
    const isAnswered = (peer: Peer) => peer.answer() !== undefined || this.#eventOf('rewind') !== undefined
    const end = performance.now() + END_MS
    for (;;) {
      const peer = await this.#connect('direct', 'receiver')
      peer.request({ method: 'GET', path: this.#downloadPath, headers })
      this.#receiver = peer
      if (isServedSilently) return
      await until('the receiver is refused, or the sender asked', () => isAnswered(peer))
      const view = problemIn(await this.#wholeProblem(peer))
      if (view === undefined) return
      if (view !== '409 busy' || performance.now() > end) throw new Error(`The receiver gets ${view}`)
      await delay(BUSY_PAUSE_MS)
    }
  }

  async #wholeProblem(peer: Peer): Promise<Answer> {
    const answer = peer.answer()
    if (answer === undefined || answer.status < 400) return NO_ANSWER
    await until('the refusal is there', () => peer.answer()?.isComplete)
    return peer.answer() ?? NO_ANSWER
  }

  /** What it got by its last request is what it asked for. */
  #checkRest(): void {
    const { length } = this.#cell
    const { status, headers } = this.#receiver?.answer() ?? NO_ANSWER
    const from = this.#kept.length
    const isPart = from > 0 && length === 'known'
    const range = isPart ? `bytes ${from}-${this.#size - 1}/${this.#size}` : undefined
    const offset = length === 'unknown' ? String(from) : undefined
    const seen = { status, range: headers['content-range'], offset: headers['ess-offset'] }
    const expected = { status: isPart ? 206 : 200, range, offset }
    if (JSON.stringify(seen) !== JSON.stringify(expected)) {
      throw new Error(`Expected a head with ${JSON.stringify(expected)}, got ${JSON.stringify(seen)}`)
    }
  }

  /** Where the sender is asked to go on: by an event in its own response, or as the answer to its request. */
  async #followRewind(): Promise<number> {
    const sender = this.#sender
    const { way } = this.#cell
    await until('the sender is asked to rewind', () => this.#eventOf('rewind'))
    const answer = await until('the sender is answered', () =>
      sender?.answer()?.isComplete ? sender.answer() : undefined,
    )
    // What `until` gives is truthy.
    const { status, headers, body } = answer as Answer
    const event = this.#eventOf('rewind')
    if (event === undefined) throw new Error('There was a rewind')
    this.#uploadPath = new URL(event.upload).pathname
    const events = way === 'early response' ? eventsOf(answer) : []
    const told = way === 'early response' ? events.at(-1) : undefined
    const isWell =
      way === 'early response'
        ? told?.event === 'rewind' && told.upload === event.upload && told.offset === event.offset
        : status === 409 &&
          headers['location'] === event.upload &&
          headers['upload-offset'] === String(event.offset)
    if (!isWell) throw new Error(`Expected the sender to be asked to rewind, it was told ${status} ${body}`)
    return event.offset
  }

  async #end(): Promise<ResumableObservation> {
    const follower = this.#follower
    await until('the follower is told the end', () => follower?.ended(), END_MS)
    const answer = follower?.answer()
    const view = follower && answer ? streamVerdict(answer, follower.ended(), follower.brokenBy) : undefined
    if (view === undefined) throw new Error('The follower was told no verdict')
    const outcome = view.replace(/^failed: /, '')
    const [sender, receiver] = [await this.#viewOfSender(), await this.#viewOfReceiver()]
    await this.#checkAskedLater(view)
    this.#checkToldOfReturn()
    return {
      outcome,
      sender: this.#early?.leg === 'sender' ? this.#expectWell(sender, 'delivered') : sender,
      receiver: this.#early?.leg === 'receiver' ? this.#expectWell(receiver, WHOLE) : receiver,
      wentOn: this.#hasGoneOn,
    }
  }

  /** The follower is told of every loss, and of every rewind. */
  #checkToldOfReturn(): void {
    const { phase } = this.#cell
    const isTold = ['interrupted', 'rewind'].some((word) => this.#eventOf(word) !== undefined)
    // A receiver that takes over from a silent connection, and needs nothing again, is no news.
    const isNews = this.#hasGoneOn && !(phase === 'between' && this.#effect === 'swallowed')
    if (isNews && !isTold) throw new Error('The follower was not told that a side was lost')
  }

  /** The one that took the place of a peer that was hurt too early has to be served as if nothing had been. */
  #expectWell(view: string, well: string): string {
    if (view !== well)
      throw new Error(`Expected the next ${this.#early?.leg} to see "${well}", it saw "${view}"`)
    return thenNext(this.#early?.view ?? '', well)
  }

  async #reserve(): Promise<void> {
    const peer = await this.#connect('direct')
    peer.request({ method: 'POST', path: '/reserve', headers: { Accept: 'application/json' } })
    await until('the reservation is answered', () => peer.answer()?.isComplete)
    // The server's own answer, whose members are used at once.
    const { id, upload } = JSON.parse(String(peer.answer()?.body)) as { id: string; upload: string }
    peer.destroy()
    await this.#follow(id, upload)
  }

  async #follow(id: string, upload: string): Promise<void> {
    this.#downloadPath = `/${id}`
    this.#uploadPath = new URL(upload).pathname
    this.#firstUploadPath = this.#uploadPath
    this.#follower = await this.#connect('direct')
    this.#follower.request({ method: 'GET', path: `${this.#uploadPath}/events`, headers: AS_EVENTS })
    await this.#untilTold('opened')
  }

  /** False where no socket came of it, as it had to be. */
  async #senderAsks(): Promise<boolean> {
    const { leg, phase, way } = this.#cell
    const isHurt = leg === 'sender' && phase === 'head' && this.#effect !== 'harmless'
    this.#sender = await this.#firstRequest('sender')
    if (isHurt) {
      this.#early = { leg: 'sender', view: await this.#viewOf('sender', this.#sender, () => undefined) }
      if (way === 'early response') return false
      this.#sender = await this.#firstRequest('direct')
    }
    if (way === 'early response') {
      const opened = await until('the sender is told its link', () =>
        eventsOf(this.#sender?.answer()).find(({ event }) => event === 'opened'),
      )
      if (typeof opened !== 'object' || opened.event !== 'opened' || opened.upload === undefined)
        throw new Error('Expected an upload resource in the first event')
      await this.#follow(opened.id, opened.upload)
    }
    await this.#untilTold(this.#receiver === undefined ? 'waiting' : 'connected')
    return true
  }

  /** Of the whole file, or of the first piece. */
  async #firstRequest(road: 'sender' | 'direct'): Promise<Peer> {
    const { way, length } = this.#cell
    const peer = await this.#connect(road)
    const struck = road === 'sender' ? this.#armForHead('sender') : undefined
    const isPiece = way === 'pieces'
    const fields = isPiece
      ? {
          ...PIECE,
          'Upload-Offset': '0',
          'Upload-Complete': '?0',
          ...(length === 'known' && { 'Upload-Length': String(this.#size) }),
        }
      : {}
    peer.request({
      method: isPiece ? 'PATCH' : 'PUT',
      path: this.#uploadPath,
      headers: { ...AS_EVENTS, ...fields, 'Ess-Resume': 'rewind' },
      file: isPiece ? this.#part(0, PIECE_BYTES) : this.#part(0),
    })
    await struck
    return peer
  }

  /** Begins the request that brings everything from `offset` on. */
  async #sendRest(offset: number, road: 'sender' | 'direct' = 'sender'): Promise<void> {
    // The one that took a hurt sender's place is not hurt.
    const peer = await this.#connect(this.#early?.leg === 'sender' ? 'direct' : road)
    this.#isLastRequest = true
    peer.request({
      method: 'PATCH',
      path: this.#uploadPath,
      headers: {
        ...AS_EVENTS,
        ...PIECE,
        'Upload-Offset': String(offset),
        'Upload-Complete': '?1',
      },
      file: this.#part(offset),
    })
    this.#sender = peer
  }

  /** The bytes from `from` on. Its first half is the file's own, where that is to come still. */
  #part(from: number, to = this.#size): OutgoingFile {
    const middle = Math.min(Math.max(HALF_BYTES, from), to)
    return {
      firstHalf: this.#bytes.subarray(from, middle),
      secondHalf: this.#bytes.subarray(middle, to),
      isDeclared: this.#cell.length === 'known',
    }
  }

  async #endFirstPiece(): Promise<void> {
    const sender = this.#sender
    sender?.sendTo('end')
    await until('the first piece is answered', () => sender?.answer()?.isComplete)
    const { status, headers } = sender?.answer() ?? NO_ANSWER
    if (status !== 204 || headers['upload-offset'] !== String(PIECE_BYTES))
      throw new Error(`The first piece was answered ${status} ${JSON.stringify(headers)}`)
    this.#isLastRequest = false
  }

  /** Sends what the sender has left, by the request that is there or the next one. */
  async #sendOn(): Promise<void> {
    if (!this.#isLastRequest) {
      if (this.#sender?.answer() === undefined) await this.#endFirstPiece()
      await this.#sendRest(PIECE_BYTES)
    }
    this.#sender?.sendTo('end')
  }

  async #receiverAsks(): Promise<Peer> {
    const peer = await this.#connect('receiver')
    const struck = this.#armForHead('receiver')
    peer.request({ method: 'GET', path: this.#downloadPath })
    await struck
    this.#receiver = peer
    const isHurt = this.#cell.leg === 'receiver' && this.#cell.phase === 'head' && this.#effect !== 'harmless'
    return isHurt ? await this.#replaceReceiver() : peer
  }

  async #replaceReceiver(): Promise<Peer> {
    const hurt = this.#receiver
    if (hurt === undefined) throw new Error('There was no receiver')
    this.#early = { leg: 'receiver', view: await this.#viewOf('receiver', hurt, () => undefined) }
    const next = await this.#connect('direct', 'receiver')
    next.request({ method: 'GET', path: this.#downloadPath })
    this.#receiver = next
    return next
  }

  #armForHead(leg: Leg): Promise<void> | undefined {
    const { phase, fault } = this.#cell
    if (this.#cell.leg !== leg || phase !== 'head' || this.#proxy === undefined) return undefined
    return within(DEADLINE_MS, 'the fault strikes the head', this.#proxy.arm(FAULTS[fault], 'up', INTO_BYTES))
  }

  async #strike(): Promise<void> {
    await this.#proxy?.strike(FAULTS[this.#cell.fault])
  }

  /** The connection of a peer, through the proxy where the fault is to strike it; of others, as of `like`. */
  async #connect(whose: Leg | 'direct', like: Leg = 'sender'): Promise<Peer> {
    let { port } = this.#arena.server
    if (whose === this.#cell.leg) {
      if (this.#proxy === undefined) {
        this.#proxy = await startTcpProxy(port)
        this.#proxies.push(this.#proxy)
      }
      port = this.#proxy.port
    }
    const version = versionOf(this.#cell.version, whose === 'direct' ? like : whose)
    const peer = await this.#arena.connect(port, version)
    this.#peers.push(peer)
    return peer
  }

  /** The offset at which the sender has to go on; undefined if the transfer is over. */
  async #askWhere(): Promise<number | undefined> {
    const end = performance.now() + DEADLINE_MS
    for (;;) {
      const { status, headers } = await this.#ask('HEAD', this.#uploadPath)
      if (status === 410 || headers['upload-complete'] === '?1') return undefined
      if (status === 204) return Number(headers['upload-offset'])
      const mayAskAgain = status === 409 || status === 503
      if (!mayAskAgain || performance.now() > end)
        throw new Error(`The upload resource answers ${status} ${JSON.stringify(headers)}`)
      const { location } = headers
      if (location !== undefined) this.#uploadPath = new URL(location).pathname
      else await delay(BUSY_PAUSE_MS)
    }
  }

  /** As a sender does whose response was lost with the verdict on it. */
  async #askVerdict(): Promise<void> {
    await until('the follower is told the end', () => this.#follower?.ended(), END_MS)
    const offset = await this.#askWhere()
    if (offset !== undefined) throw new Error(`It is over, and the sender is asked for byte ${offset}`)
    this.#toldByAsking = asked(await this.#verdictAt(this.#uploadPath))
  }

  async #verdictAt(path: string): Promise<string> {
    const answer = await this.#ask('GET', `${path}/events`)
    const [event, ...more] = eventsOf(answer)
    if (event === undefined || more.length > 0) return `${answer.status} ${answer.body}`
    if (event.event === 'delivered') return event.confirmed ? 'delivered' : 'delivered, unconfirmed'
    return event.event === 'failed' ? `failed: ${event.problem.type.split(':').at(-1)}` : event.event
  }

  /** Every upload resource of this transfer tells the same verdict, long after. */
  async #checkAskedLater(verdict: string): Promise<void> {
    for (const path of new Set([this.#firstUploadPath, this.#uploadPath])) {
      const told = await this.#verdictAt(path)
      if (told !== verdict)
        throw new Error(`The verdict is "${verdict}", and a sender that asks reads "${told}"`)
    }
  }

  async #ask(method: string, path: string): Promise<Answer> {
    const peer = await this.#connect('direct')
    peer.request({ method, path, headers: AS_EVENTS })
    await until(`${method} is answered`, () => peer.answer()?.isComplete)
    const answer = peer.answer() ?? NO_ANSWER
    peer.destroy()
    return answer
  }

  #settle(): Promise<void> {
    return settle(this.#arena, versionOf(this.#cell.version, 'sender'))
  }

  #eventOf<E extends StatusEvent['event']>(
    event: E | string,
  ): Extract<StatusEvent, { event: E }> | undefined {
    return eventsOf(this.#follower?.answer()).find(
      (one): one is Extract<StatusEvent, { event: E }> => one.event === event,
    )
  }

  async #untilTold(event: StatusEvent['event']): Promise<void> {
    await until(`the status stream says "${event}"`, () => this.#eventOf(event), END_MS)
  }

  /** So that nothing but the verdict is still to come in the sender's response. */
  async #untilToldOf(bytes: number): Promise<void> {
    await until('the sender is told of the last byte', () =>
      eventsOf(this.#sender?.answer()).some((one) => one.event === 'progress' && one.bytes === bytes),
    )
  }

  async #untilReceived(bytes: number): Promise<void> {
    await until(`the receiver has ${bytes} bytes`, () => {
      return (this.#receiver?.answer()?.body.length ?? 0) >= bytes
    })
  }

  async #viewOfSender(): Promise<string> {
    const { way } = this.#cell
    if (this.#toldByAsking !== undefined) return this.#toldByAsking
    const sender = this.#sender
    if (sender === undefined) throw new Error('There was no sender')
    const isStruck = this.#early?.leg !== 'sender' && !this.#hasComeBack('sender')
    return await this.#viewOf(isStruck ? 'sender' : 'well', sender, (answer, ended) => {
      const isStream = way === 'early response' && answer.status === 201
      return isStream ? streamVerdict(answer, ended, sender.brokenBy) : finalVerdict(answer)
    })
  }

  async #viewOfReceiver(): Promise<string> {
    const receiver = this.#receiver
    if (receiver === undefined) throw new Error('There was no receiver')
    const isStruck = this.#early?.leg !== 'receiver' && !this.#hasComeBack('receiver')
    return await this.#viewOf(isStruck ? 'receiver' : 'well', receiver, (answer, ended) => {
      if (answer.status !== 200 && answer.status !== 206) return undefined
      const all = Buffer.concat([this.#kept, answer.body])
      if (answer.isComplete) return all.equals(this.#bytes) ? WHOLE : 'complete, but not what was sent'
      return ended === 'rst' && this.#cell.leg === 'sender' ? RESET : undefined
    })
  }

  /** The connection of this side is another one than the one that was struck. */
  #hasComeBack(side: Leg): boolean {
    const { leg, phase, comesBack } = this.#cell
    return (
      leg === side &&
      comesBack &&
      phase !== 'unconfirmed' &&
      phase !== 'verdict' &&
      this.#effect !== 'harmless'
    )
  }

  /** What a side has seen, when nothing more comes of it; `read` knows what an answer that is no problem means. */
  async #viewOf(
    side: Leg | 'well',
    peer: Peer,
    read: (answer: Answer, ended: 'fin' | 'rst' | undefined) => string | undefined,
  ): Promise<string> {
    const isSwallowed = side === this.#cell.leg && this.#effect === 'swallowed'
    if (isSwallowed) await this.#settle()
    else await until('the connection of a peer ends', () => peer.ended())
    const answer = peer.answer()
    const ended = peer.ended()
    const view = answer && (read(answer, ended) ?? problemIn(answer))
    return view ?? (ended === undefined ? SILENCE : CUT_OFF)
  }
}

const PIECE = { 'Content-Type': 'application/partial-upload' }
const BUSY_PAUSE_MS = 100
const NO_ANSWER: Answer = { status: 0, headers: {}, body: Buffer.alloc(0), isComplete: false }

/** True where only bytes that get stuck show that a receiver is silent. One that names its tag takes over at once. */
function isFlood({ leg, fault, phase, comesBack }: ResumableCell): boolean {
  if (leg !== 'receiver' || fault !== 'black hole') return false
  return ['waiting', 'connected'].includes(phase) || (!comesBack && ['midway', 'between'].includes(phase))
}
