import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import {
  CallError,
  EPIPE,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  loadLibc,
} from './libc.js'
import { LowWater } from './low-water.js'
import { JobRecord, type Order, type Report, type WorkerSetup } from './messages.js'
import { Pipes } from './pipes.js'
import { type Job, type JobEnd, pump } from './pump.js'

/**
 * How long the poll may block. Orders and sockets wake it at once, but a process that exits has to wait for it to
 * return, and so has a thread that is terminated.
 */
const POLL_MS = 200

/** An event's key is a job's id, or this one for a new order; its side is one of the two below. */
const WAKE = 0
const SENDER = 0
const RECEIVER = 1

if (parentPort === null) throw new Error('Expected to run in a worker thread')
const port = parentPort
// The splicer sets it, with this type, when it starts this file.
const setup = workerData as WorkerSetup
const attention = new Int32Array(setup.attention)

const libc = await loadLibc()
const pipes = new Pipes(libc)
const lowWater = new LowWater(libc)
const poll = libc.createPoll()
const jobs = new Map<number, Job>()
const CANCELLED: JobEnd = { how: 'cancelled', errno: undefined }
/** Jobs that can have their next turn without waiting for a socket. */
const ready = new Set<Job>()
let isClosed = false

// The poll reports each write to it once. It is never read: a counter of 64 bits doesn't overflow.
libc.addToPoll(poll, setup.wakeFd, EPOLLIN | EPOLLET, WAKE, 0)

// Without jobs the thread waits for messages here. With jobs it waits in the poll, until there are none.
port.on('message', (order: Order) => {
  try {
    obey(order)
    while (jobs.size > 0) turn()
  } catch (error) {
    // The main thread sees this thread die, and ends the jobs as failed.
    for (const job of jobs.values()) letGo(job)
    close()
    throw error
  }
})

function turn(): void {
  libc.waitForPoll(poll, ready.size > 0 ? 0 : (lowWater.pollMs ?? POLL_MS), noticed)
  hear()
  for (const job of lowWater.sweep()) ready.add(job)
  for (const job of [...ready]) {
    // An order that came meanwhile may have ended it.
    if (!ready.delete(job)) continue
    const outcome = pumped(job)
    if (outcome === 'ready') ready.add(job)
    else if (outcome === 'waiting') lowWater.suit(job, jobs.size === 1)
    else finish(job, outcome)
    hear()
  }
}

function noticed(key: number, side: number, events: number): void {
  const job = jobs.get(key)
  if (job === undefined) return
  // A sender's last bytes stand before its error, so it is read until the read itself fails. A receiver that has closed
  // its own half (EPOLLRDHUP) may still be reading.
  if (side === RECEIVER && (events & (EPOLLERR | EPOLLHUP)) !== 0) finish(job, receiverFailure(job))
  else ready.add(job)
}

function pumped(job: Job): ReturnType<typeof pump> {
  try {
    return pump(job, libc, pipes)
  } catch (error) {
    // There is no descriptor or memory for a pipe: this job fails, not the engine.
    if (error instanceof CallError) return { how: 'engine-failed', errno: error.errno }
    throw error
  }
}

function receiverFailure(job: Job): JobEnd {
  if (job.senderEnd !== undefined) return job.senderEnd
  // A socket without an error has been closed both ways.
  return { how: 'receiver-failed', errno: libc.socketError(job.receiverFd) || EPIPE }
}

/** Reads the orders that have come. If there are none it costs nothing, so it can be called at any time. */
function hear(): void {
  while (Atomics.exchange(attention, 0, 0) !== 0) {
    for (;;) {
      const received = receiveMessageOnPort(port)
      if (received === undefined) break
      // The splicer posts nothing else.
      obey(received.message as Order)
    }
  }
}

function obey(order: Order): void {
  switch (order.order) {
    case 'start':
      start(order)
      break
    case 'cancel': {
      const job = jobs.get(order.id)
      if (job !== undefined) finish(job, order.lastTurn ? lastOf(job) : CANCELLED)
      break
    }
    case 'close':
      for (const job of jobs.values()) finish(job, CANCELLED)
      close()
      break
    default:
      throw new TypeError(`Expected an order, got ${JSON.stringify(order)}`)
  }
}

/** How a job ends that has one more turn. */
function lastOf(job: Job): JobEnd {
  const outcome = pumped(job)
  return typeof outcome === 'string' ? CANCELLED : outcome
}

function start({ id, senderFd, receiverFd, bytes, record }: Extract<Order, { order: 'start' }>): void {
  const job: Job = {
    id,
    senderFd,
    receiverFd,
    record: new JobRecord(record),
    left: bytes,
    taken: 0,
    lastTaken: 0,
    moved: 0,
    pipe: undefined,
    senderEnd: undefined,
  }
  jobs.set(id, job)
  ready.add(job)
  try {
    libc.addToPoll(poll, senderFd, EPOLLIN | EPOLLRDHUP | EPOLLET, id, SENDER)
    libc.addToPoll(poll, receiverFd, EPOLLOUT | EPOLLET, id, RECEIVER)
  } catch (error) {
    // For example EPERM if it isn't a socket, or ENOSPC if the user has too many watches.
    if (!(error instanceof CallError)) throw error
    finish(job, { how: 'engine-failed', errno: error.errno })
  }
}

function finish(job: Job, { how, errno }: JobEnd): void {
  letGo(job)
  jobs.delete(job.id)
  ready.delete(job)
  if (jobs.size === 0) pipes.clear()
  port.postMessage({ id: job.id, how, errno } satisfies Report)
}

/** Closes the job's descriptors and gives its pipe back. Bytes that were in the pipe are lost. */
function letGo(job: Job): void {
  if (job.pipe !== undefined) pipes.giveBack(job.pipe)
  job.pipe = undefined
  if (!job.record.claim()) return
  lowWater.lower(job)
  for (const fd of [job.senderFd, job.receiverFd]) {
    libc.removeFromPoll(poll, fd)
    libc.close(fd)
  }
}

function close(): void {
  if (isClosed) return
  isClosed = true
  pipes.clear()
  libc.close(poll)
  port.close()
}
