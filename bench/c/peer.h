// What the sender and the receiver share: connections (plain, or TLS where OpenSSL was found), HTTP heads, chunked
// framing, and the bytes themselves, which are made from a seed so that both sides can sum them up alone.
#pragma once

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifdef WITH_TLS
#include <openssl/ssl.h>
#endif

#define BLOCK_BYTES (1 << 20)
#define TLS_BUFFER_BYTES (128 << 10)
#define HEAD_BYTES (16 << 10)
// A peer that says nothing for so long has lost the transfer; no run may hang on it. It is waited for in slices: a
// machine that stands still, as a virtual one may, has used up one slice when it goes on, and not all of them.
#define SILENCE_SECONDS 30
#define SLICE_SECONDS 1

static void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  flockfile(stderr);
  fputs("error: ", stderr);
  vfprintf(stderr, format, arguments);
  fputs("\n", stderr);
  fflush(stderr);
  _exit(1);
}

static double now_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void sleep_seconds(double seconds) {
  struct timespec rest = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  while (nanosleep(&rest, &rest) != 0 && errno == EINTR) continue;
}

// Thousands of sockets need as many descriptors as this process may have.
static void raise_descriptor_limit(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// The bytes: 64-bit words, word i = seed + i * WORD_STEP, so that any that is lost, doubled or moved changes the sum.

#define WORD_STEP 0x9e3779b97f4a7c15u
#define LANES 8
#define STRIDE_BYTES (LANES * 8)

typedef struct {
  uint64_t lane[LANES];
  uint8_t tail[STRIDE_BYTES];
  size_t tail_bytes;
  uint64_t bytes;
} Sum;

static inline void sum_strides(Sum *sum, const uint8_t *data, size_t strides) {
  uint64_t lane[LANES];
  memcpy(lane, sum->lane, sizeof lane);
  for (size_t i = 0; i < strides; i++, data += STRIDE_BYTES) {
    uint64_t word[LANES];
    memcpy(word, data, sizeof word);
    for (int l = 0; l < LANES; l++) lane[l] = lane[l] * 0x100000001b3u + word[l];
  }
  memcpy(sum->lane, lane, sizeof lane);
}

static void sum_add(Sum *sum, const uint8_t *data, size_t bytes) {
  sum->bytes += bytes;
  if (sum->tail_bytes > 0) {
    size_t missing = STRIDE_BYTES - sum->tail_bytes, taken = bytes < missing ? bytes : missing;
    memcpy(sum->tail + sum->tail_bytes, data, taken);
    sum->tail_bytes += taken;
    if (sum->tail_bytes < STRIDE_BYTES) return;
    sum_strides(sum, sum->tail, 1);
    sum->tail_bytes = 0;
    data += taken;
    bytes -= taken;
  }
  sum_strides(sum, data, bytes / STRIDE_BYTES);
  sum->tail_bytes = bytes % STRIDE_BYTES;
  memcpy(sum->tail, data + bytes - sum->tail_bytes, sum->tail_bytes);
}

static uint64_t sum_end(const Sum *sum) {
  Sum last = *sum;
  memset(last.tail + last.tail_bytes, 0, STRIDE_BYTES - last.tail_bytes);
  sum_strides(&last, last.tail, 1);
  uint64_t whole = last.bytes;
  for (int l = 0; l < LANES; l++) {
    whole = (whole ^ last.lane[l]) * WORD_STEP;
    whole ^= whole >> 32;
  }
  return whole;
}

// `offset` is a multiple of 8; `bytes` may end anywhere, with room up to the next word.
static void make_bytes(uint8_t *data, uint64_t seed, uint64_t offset, size_t bytes) {
  uint64_t word = seed + offset / 8 * WORD_STEP;
  for (size_t i = 0; i < bytes; i += 8, word += WORD_STEP) memcpy(data + i, &word, 8);
}

// What the sum must be after so many bytes: for a transfer that was cut on purpose, after the measurement.
static uint64_t sum_expected(uint64_t seed, uint64_t bytes) {
  uint8_t *data = malloc(BLOCK_BYTES);
  Sum sum = {0};
  while (sum.bytes < bytes) {
    uint64_t left = bytes - sum.bytes;
    size_t taken = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
    make_bytes(data, seed, sum.bytes, taken);
    sum_add(&sum, data, taken);
  }
  free(data);
  return sum_end(&sum);
}

// Connections.

typedef struct {
  int descriptor;
#ifdef WITH_TLS
  SSL *tls;
#endif
} Connection;

// What the kernel may hold for each connection on this side; 0 leaves it to the kernel.
static int socket_buffer_bytes;
static bool speaks_tls;
#ifdef WITH_TLS
static SSL_CTX *tls_context;
#endif

static void set_up_tls(bool is_server, const char *certificate, const char *key) {
  speaks_tls = true;
#ifdef WITH_TLS
  tls_context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
  if (is_server && (SSL_CTX_use_certificate_chain_file(tls_context, certificate) != 1 ||
                    SSL_CTX_use_PrivateKey_file(tls_context, key, SSL_FILETYPE_PEM) != 1))
    die("the certificate cannot be used");
  // The certificate is made for the run and signed by nobody.
  if (!is_server) SSL_CTX_set_verify(tls_context, SSL_VERIFY_NONE, NULL);
#else
  (void)is_server, (void)certificate, (void)key;
  die("built without TLS");
#endif
}

#ifdef WITH_TLS
// By itself, OpenSSL asks the kernel twice for each record that comes, and once for each that leaves. That would cost
// this program a third of its time, of which the relay has the less.
static BIO *buffered_bio(int descriptor) {
  BIO *buffer = BIO_new(BIO_f_buffer());
  BIO_set_buffer_size(buffer, TLS_BUFFER_BYTES);
  return BIO_push(buffer, BIO_new_socket(descriptor, BIO_NOCLOSE));
}

// True after a call that only waited for the peer, as one does when its slice is over.
static bool wants_more(const SSL *tls, int result) {
  int error = SSL_get_error(tls, result);
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}
#endif

// One more slice has gone by in silence. False, with the error, when it was the last one.
static bool is_patient(int *slices) {
  errno = ETIMEDOUT;
  return ++*slices < SILENCE_SECONDS / SLICE_SECONDS;
}

static void adopt(Connection *connection, int descriptor, bool is_server) {
  int on = 1;
  struct timeval slice = {SLICE_SECONDS, 0};
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof slice);
  setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &slice, sizeof slice);
  connection->descriptor = descriptor;
#ifdef WITH_TLS
  connection->tls = NULL;
  if (speaks_tls) {
    connection->tls = SSL_new(tls_context);
    SSL_set_bio(connection->tls, buffered_bio(descriptor), buffered_bio(descriptor));
    int slices = 0, done;
    do done = is_server ? SSL_accept(connection->tls) : SSL_connect(connection->tls);
    while (done != 1 && wants_more(connection->tls, done) && is_patient(&slices));
    if (done != 1) die("the TLS handshake failed");
  }
#else
  (void)is_server;
#endif
}

static void open_connection(Connection *connection, int port) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) die("no socket: %s", strerror(errno));
  if (socket_buffer_bytes > 0) {
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &socket_buffer_bytes, sizeof socket_buffer_bytes);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &socket_buffer_bytes, sizeof socket_buffer_bytes);
  }
  if (connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) die("cannot connect: %s", strerror(errno));
  adopt(connection, descriptor, false);
}

static void close_connection(Connection *connection) {
#ifdef WITH_TLS
  if (connection->tls != NULL) {
    SSL_shutdown(connection->tls);
    SSL_free(connection->tls);
  }
#endif
  close(connection->descriptor);
}

// 0 at the end; -1 with errno on anything else.
static ssize_t read_some(Connection *connection, void *data, size_t bytes) {
  int slices = 0;
#ifdef WITH_TLS
  if (connection->tls != NULL) {
    size_t got = 0;
    do {
      if (SSL_read_ex(connection->tls, data, bytes, &got) == 1) return (ssize_t)got;
    } while (wants_more(connection->tls, 0) && is_patient(&slices));
    if (SSL_get_error(connection->tls, 0) == SSL_ERROR_ZERO_RETURN) return 0;
    if (errno == 0) errno = ECONNRESET;
    return -1;
  }
#endif
  ssize_t got;
  do got = recv(connection->descriptor, data, bytes, 0);
  while (got < 0 && (errno == EINTR || (errno == EAGAIN && is_patient(&slices))));
  return got;
}

static void write_all(Connection *connection, const struct iovec *parts, int count) {
  int slices = 0;
#ifdef WITH_TLS
  if (connection->tls != NULL) {
    for (int i = 0; i < count; i++) {
      size_t sent;
      while (parts[i].iov_len > 0 && SSL_write_ex(connection->tls, parts[i].iov_base, parts[i].iov_len, &sent) != 1)
        if (!wants_more(connection->tls, 0) || !is_patient(&slices)) die("cannot send over TLS");
    }
    BIO *buffer = SSL_get_wbio(connection->tls);
    while (BIO_flush(buffer) != 1)
      if (!BIO_should_retry(buffer) || !is_patient(&slices)) die("cannot send over TLS");
    return;
  }
#endif
  struct iovec left[64];
  memcpy(left, parts, (size_t)count * sizeof *parts);
  for (int first = 0; first < count;) {
    struct msghdr message = {.msg_iov = left + first, .msg_iovlen = (size_t)(count - first)};
    ssize_t sent = sendmsg(connection->descriptor, &message, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EINTR || (errno == EAGAIN && is_patient(&slices)))) continue;
    if (sent < 0) die("cannot send: %s", strerror(errno));
    slices = 0;
    while (first < count && (size_t)sent >= left[first].iov_len) sent -= (ssize_t)left[first++].iov_len;
    if (first < count) {
      left[first].iov_base = (char *)left[first].iov_base + sent;
      left[first].iov_len -= (size_t)sent;
    }
  }
}

static void write_text(Connection *connection, const char *text, size_t bytes) {
  struct iovec part = {(void *)text, bytes};
  write_all(connection, &part, 1);
}

// HTTP/1.1.

#define UNTIL_CLOSE UINT64_MAX

typedef struct {
  char text[HEAD_BYTES];
  size_t bytes;  // of the head, with its empty line
  size_t filled; // of text; what is beyond the head is body already
  bool is_chunked;
  uint64_t length; // UNTIL_CLOSE where none was said
} Head;

static const char *head_field(const Head *head, const char *name) {
  size_t name_bytes = strlen(name);
  for (const char *line = strstr(head->text, "\r\n"); line != NULL && line < head->text + head->bytes;
       line = strstr(line, "\r\n")) {
    line += 2;
    if (strncasecmp(line, name, name_bytes) == 0 && line[name_bytes] == ':') {
      line += name_bytes + 1;
      return line + strspn(line, " \t");
    }
  }
  return NULL;
}

static void read_head(Connection *connection, Head *head, double *first_byte_at) {
  head->filled = 0;
  char *end = NULL;
  while (end == NULL) {
    if (head->filled == HEAD_BYTES - 1) die("a head of more than %d bytes", HEAD_BYTES);
    ssize_t got = read_some(connection, head->text + head->filled, HEAD_BYTES - 1 - head->filled);
    if (got <= 0) die("no head after %zu bytes: %s", head->filled, got == 0 ? "closed" : strerror(errno));
    if (first_byte_at != NULL) *first_byte_at = now_seconds();
    head->filled += (size_t)got;
    head->text[head->filled] = '\0';
    end = strstr(head->text, "\r\n\r\n");
    // An interim head, such as a 100, may come in one piece with what follows it.
    while (end != NULL && strncmp(head->text, "HTTP/1.1 1", 10) == 0) {
      head->filled -= (size_t)(end + 4 - head->text);
      memmove(head->text, end + 4, head->filled + 1);
      end = strstr(head->text, "\r\n\r\n");
    }
  }
  head->bytes = (size_t)(end + 4 - head->text);
  const char *length = head_field(head, "content-length"), *coding = head_field(head, "transfer-encoding");
  head->is_chunked = coding != NULL && strncasecmp(coding, "chunked", 7) == 0;
  head->length = length == NULL ? UNTIL_CLOSE : strtoull(length, NULL, 10);
}

static void expect_success(const Head *head) {
  if (strncmp(head->text, "HTTP/1.1 2", 10) != 0) die("refused: %.200s", head->text);
}

// Takes a body apart. `feed` hands on what is body in `data`, and is_over says when the last byte has come.
typedef struct {
  bool is_chunked, is_over;
  enum { IN_SIZE, IN_EXTENSION, IN_DATA, AFTER_DATA, IN_TRAILER } state;
  uint64_t left;
  size_t line_bytes;
} Body;

static Body start_body(const Head *head) {
  bool is_over = !head->is_chunked && head->length == 0;
  return (Body){.is_chunked = head->is_chunked, .is_over = is_over, .left = head->is_chunked ? 0 : head->length};
}

typedef void Take(void *context, const uint8_t *data, size_t bytes);

static void feed(Body *body, const uint8_t *data, size_t bytes, Take *take, void *context) {
  const uint8_t *end = data + bytes;
  while (data < end && !body->is_over) {
    if (!body->is_chunked || body->state == IN_DATA) {
      size_t here = (size_t)(end - data);
      if (here > body->left) here = (size_t)body->left;
      take(context, data, here);
      data += here;
      if (body->left != UNTIL_CLOSE) body->left -= here;
      if (body->left > 0) continue;
      if (body->is_chunked) body->state = AFTER_DATA;
      else body->is_over = true;
      continue;
    }
    char byte = (char)*data++;
    if (body->state == AFTER_DATA) {
      if (byte != (body->line_bytes == 0 ? '\r' : '\n')) die("a chunk that does not end");
      body->line_bytes++;
      if (byte == '\n') *body = (Body){.is_chunked = true};
    } else if (body->state == IN_TRAILER) {
      if (byte == '\n') body->is_over = body->line_bytes == 0, body->line_bytes = 0;
      else if (byte != '\r') body->line_bytes++;
    } else if (byte == '\n') {
      if (body->line_bytes == 0) die("a chunk without a size");
      body->state = body->left == 0 ? IN_TRAILER : IN_DATA;
      body->line_bytes = 0;
    } else if (byte == ';' || byte == '\r') {
      body->state = IN_EXTENSION;
    } else if (body->state == IN_SIZE) {
      int digit = byte >= '0' && byte <= '9' ? byte - '0' : ((byte | 32) >= 'a' && (byte | 32) <= 'f') ? (byte | 32) - 'a' + 10 : -1;
      if (digit < 0) die("a chunk size with '%c'", byte);
      body->left = body->left * 16 + (uint64_t)digit;
      body->line_bytes++;
    }
  }
}

// Arguments: --name value.

static const char *argument(int count, char **arguments, const char *name, const char *otherwise) {
  for (int i = 1; i + 1 < count; i += 2)
    if (strcmp(arguments[i], name) == 0) return arguments[i + 1];
  return otherwise;
}

static uint64_t number_argument(int count, char **arguments, const char *name, uint64_t otherwise) {
  const char *text = argument(count, arguments, name, NULL);
  return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void start_threads(pthread_t *threads, size_t count, void *(*run)(void *), void *contexts, size_t context_bytes) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 << 10);
  for (size_t i = 0; i < count; i++)
    if (pthread_create(&threads[i], &attributes, run, (char *)contexts + i * context_bytes) != 0) die("no thread");
}
