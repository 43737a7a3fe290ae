import { constants as files } from 'node:fs'
import { constants as os } from 'node:os'
import { getSystemErrorName } from 'node:util'

/** The error numbers that splicing tells apart, as this platform has them. */
export const { EAGAIN, EBADF, EINTR, EINVAL, ENOMEM, EPIPE, ESPIPE } = os.errno

/** The events that epoll reports of a descriptor, and can be asked for. */
export const EPOLLIN = 0x1
export const EPOLLOUT = 0x4
export const EPOLLERR = 0x8
export const EPOLLHUP = 0x10
export const EPOLLRDHUP = 0x2000
/** Reports a change once, not for as long as it lasts. */
export const EPOLLET = 0x8000_0000

// These are the same on every architecture for which koffi has a binary.
const F_DUPFD_CLOEXEC = 1030
const F_SETPIPE_SZ = 1031
const F_GETPIPE_SZ = 1032
const CLOSE_ON_EXEC = 0o2_000_000
const EPOLL_CTL_ADD = 1
const EPOLL_CTL_DEL = 2
const SOL_SOCKET = 1
const SO_ERROR = 4
const SO_LINGER = 13
const SO_RCVLOWAT = process.arch === 'ppc64' ? 16 : 18
const IPPROTO_TCP = 6
const TCP_INFO = 11
/** In words of 64 bits, where `struct tcp_info` has `tcpi_bytes_acked` (Linux 4.1). */
const BYTES_ACKED = 15
/** The same number as TIOCOUTQ (tcp(7)). */
const SIOCOUTQ = process.arch === 'ppc64' ? 0x4004_7473 : 0x5411
/** tcp(7) calls FIONREAD so. */
const SIOCINQ = process.arch === 'ppc64' ? 0x4004_667f : 0x541b
const SPLICE_F_MOVE = 1
const SPLICE_F_NONBLOCK = 2

/**
 * `struct epoll_event` in 32-bit words: the events, then our own 64 bits. These are aligned to 8 bytes, except on x86,
 * which kept its first layout.
 */
const isPacked = process.arch === 'x64' || process.arch === 'ia32'
const EVENT_WORDS = isPacked ? 3 : 4
const DATA_WORD = isPacked ? 1 : 2

/** A failed call of the C library, with its `errno`. */
export class CallError extends Error {
  override readonly name = 'CallError'
  readonly errno: number

  constructor(call: string, errno: number) {
    super(`${call}: ${getSystemErrorName(-errno)}`)
    this.errno = errno
  }
}

/**
 * The calls of the C library that splicing needs. Those that may fail in ordinary use return -1 and leave the reason in
 * `errno()`; the others throw a `CallError`.
 */
export interface Libc {
  /** Why the last call returned -1. Read it before any other call. */
  errno(): number
  /** Moves at most `bytes` from a socket into a pipe, or from a pipe into a socket. Returns 0 at the end, or -1. */
  splice(from: number, to: number, bytes: number): number
  /** Makes another descriptor for the same file, which exec closes. */
  duplicate(fd: number): number
  close(fd: number): void
  /** Makes a non-blocking pipe. */
  pipe(): { readEnd: number; writeEnd: number }
  /** Asks for room in a pipe, in bytes. Returns -1 if the kernel doesn't allow that much. */
  resizePipe(fd: number, bytes: number): number
  /** The room in a pipe, in bytes. */
  pipeSize(fd: number): number
  /** Makes a counter that wakes a poll. */
  eventfd(): number
  createPoll(): number
  addToPoll(poll: number, fd: number, events: number, key: number, side: number): void
  /** Call it before `close(fd)`: a poll goes on reporting a descriptor that has an open duplicate. */
  removeFromPoll(poll: number, fd: number): void
  /**
   * Waits for an event or a signal, for at most `ms`. `report` is called for each event, with the key and the side that
   * its descriptor was added with.
   */
  waitForPoll(poll: number, ms: number, report: (key: number, side: number, events: number) => void): void
  /** Returns and clears the error that waits on a socket; 0 for none. */
  socketError(fd: number): number
  /** Sets how many unread bytes a poll must find to report them. It always reports the end and errors (tcp(7)). */
  setLowWater(fd: number, bytes: number): void
  /** Has the kernel reset a TCP connection when its last descriptor is closed, or no longer (socket(7), SO_LINGER of 0 s). */
  setResetOnClose(fd: number, isOn: boolean): void
  /** How many bytes written to a TCP socket its peer's kernel has not acknowledged. A FIN counts as one. */
  unacknowledged(fd: number): number
  /** How many bytes have come on a TCP connection, and have not been read. */
  unread(fd: number): number
  /** The state of a TCP connection, as the kernel numbers it (`net/tcp_states.h`). */
  tcpState(fd: number): number
  /** How many bytes of a TCP connection its peer's kernel has acknowledged so far; 0 where this kernel doesn't count them. */
  acknowledged(fd: number): number
}

/** How many events one wait can bring. The next wait brings more. */
const MAX_EVENTS = 64

/** koffi, as far as it is used here. Its types come with a package that isn't installed. */
interface Koffi {
  /** Loads the library at a path; null is the one that this process has loaded itself. */
  load(path: null): { func(name: string, result: string, parameters: readonly string[]): unknown }
  errno(): number
}

/**
 * Loads koffi's binary for this platform, which is a package of its own. The package `koffi` around it adds only types,
 * deprecated names, and a script that npm runs on installation.
 */
async function loadKoffi(): Promise<Koffi> {
  const name = `@koromix/koffi-linux-${process.arch}`
  try {
    const binary = (await import(name)) as { default: Koffi }
    return binary.default
  } catch (cause) {
    throw new Error(`${name}, an optional dependency, could not be loaded`, { cause })
  }
}

/**
 * Loads the C library of this process through koffi, which is used nowhere else. Rejects with the reason if koffi isn't
 * installed, or the library lacks a call.
 */
export async function loadLibc(): Promise<Libc> {
  const { load, errno } = await loadKoffi()
  // The library that Node itself runs on, whatever its name: libc.so.6 with glibc, another with musl.
  const library = load(null)
  // koffi knows types only at run time; these are those of the manual pages.
  const call = <A extends unknown[]>(name: string, result: string, ...parameters: string[]) =>
    library.func(name, result, parameters) as (...args: A) => number

  type Pointer = ArrayBufferView | null
  const splice = call<[number, null, number, null, number, number]>(
    'splice',
    'long',
    'int',
    'void *',
    'int',
    'void *',
    'size_t',
    'uint',
  )
  const fcntl = call<[number, number, number]>('fcntl', 'int', 'int', 'int', 'long')
  const close = call<[number]>('close', 'int', 'int')
  const pipe2 = call<[Pointer, number]>('pipe2', 'int', 'void *', 'int')
  const eventfd = call<[number, number]>('eventfd', 'int', 'uint', 'int')
  const epollCreate = call<[number]>('epoll_create1', 'int', 'int')
  const epollCtl = call<[number, number, number, Pointer]>('epoll_ctl', 'int', 'int', 'int', 'int', 'void *')
  const epollWait = call<[number, Pointer, number, number]>(
    'epoll_wait',
    'int',
    'int',
    'void *',
    'int',
    'int',
  )
  const getsockopt = call<[number, number, number, Pointer, Pointer]>(
    'getsockopt',
    'int',
    'int',
    'int',
    'int',
    'void *',
    'void *',
  )
  const setsockopt = call<[number, number, number, Pointer, number]>(
    'setsockopt',
    'int',
    'int',
    'int',
    'int',
    'void *',
    'uint',
  )
  const ioctl = call<[number, number, Pointer]>('ioctl', 'int', 'int', 'ulong', 'void *')

  const pair = new Int32Array(2)
  const state = new Uint8Array(1)
  const info = new BigUint64Array(BYTES_ACKED + 1)
  const length = new Uint32Array(1)
  const event = new Uint32Array(EVENT_WORDS)
  const events = new Uint32Array(EVENT_WORDS * MAX_EVENTS)

  const checked = (name: string, result: number): number => {
    if (result < 0) throw new CallError(name, errno())
    return result
  }

  return {
    errno: () => errno(),
    splice: (from, to, bytes) => splice(from, null, to, null, bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK),
    duplicate: (fd) => checked('fcntl(F_DUPFD_CLOEXEC)', fcntl(fd, F_DUPFD_CLOEXEC, 0)),
    // Never try again: on Linux the number is free even if this fails with EINTR.
    close: (fd) => void close(fd),
    pipe: () => {
      checked('pipe2', pipe2(pair, files.O_NONBLOCK | CLOSE_ON_EXEC))
      const [readEnd = -1, writeEnd = -1] = pair
      return { readEnd, writeEnd }
    },
    resizePipe: (fd, bytes) => fcntl(fd, F_SETPIPE_SZ, bytes),
    pipeSize: (fd) => checked('fcntl(F_GETPIPE_SZ)', fcntl(fd, F_GETPIPE_SZ, 0)),
    eventfd: () => checked('eventfd', eventfd(0, files.O_NONBLOCK | CLOSE_ON_EXEC)),
    createPoll: () => checked('epoll_create1', epollCreate(CLOSE_ON_EXEC)),
    addToPoll: (poll, fd, interest, key, side) => {
      event[0] = interest
      event[DATA_WORD] = key
      event[DATA_WORD + 1] = side
      checked('epoll_ctl(EPOLL_CTL_ADD)', epollCtl(poll, EPOLL_CTL_ADD, fd, event))
    },
    // It could only complain that the descriptor isn't in the poll.
    removeFromPoll: (poll, fd) => void epollCtl(poll, EPOLL_CTL_DEL, fd, event),
    waitForPoll: (poll, ms, report) => {
      const count = epollWait(poll, events, MAX_EVENTS, ms)
      if (count < 0) {
        const reason = errno()
        if (reason !== EINTR) throw new CallError('epoll_wait', reason)
      }
      for (let at = 0; at < count * EVENT_WORDS; at += EVENT_WORDS) {
        // All three indices are within the array.
        report(events[at + DATA_WORD] ?? 0, events[at + DATA_WORD + 1] ?? 0, events[at] ?? 0)
      }
    },
    socketError: (fd) => {
      length[0] = pair.BYTES_PER_ELEMENT
      checked('getsockopt(SO_ERROR)', getsockopt(fd, SOL_SOCKET, SO_ERROR, pair, length))
      return pair[0] ?? 0
    },
    // A kernel that refuses it reports every byte, as before.
    setLowWater: (fd, bytes) => {
      length[0] = bytes
      setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, length, length.byteLength)
    },
    setResetOnClose: (fd, isOn) => {
      pair[0] = isOn ? 1 : 0
      pair[1] = 0
      checked('setsockopt(SO_LINGER)', setsockopt(fd, SOL_SOCKET, SO_LINGER, pair, pair.byteLength))
    },
    unacknowledged: (fd) => {
      checked('ioctl(SIOCOUTQ)', ioctl(fd, SIOCOUTQ, pair))
      return pair[0] ?? 0
    },
    unread: (fd) => {
      checked('ioctl(SIOCINQ)', ioctl(fd, SIOCINQ, pair))
      return pair[0] ?? 0
    },
    tcpState: (fd) => {
      // It asks for the first member of `struct tcp_info` alone.
      length[0] = state.length
      checked('getsockopt(TCP_INFO)', getsockopt(fd, IPPROTO_TCP, TCP_INFO, state, length))
      return state[0] ?? 0
    },
    acknowledged: (fd) => {
      info.fill(0n)
      length[0] = info.byteLength
      checked('getsockopt(TCP_INFO)', getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, length))
      return Number(info[BYTES_ACKED] ?? 0)
    },
  }
}
