// Sends `--transfers` bodies, `--at-once` at a time, and writes one line to stdout as each can be fetched: the path
// and the seed of its bytes. At the end, one line of JSON on stderr: what was sent, and its sum.
//
//   --port N          the subject's
//   --bytes N         of each body
//   --framing F       length | chunked | multipart
//   --route R         opened: the answer's first line is the URL (ESS)
//                     named: the sender says the path, the receiver knows it (all others)
//   --expect TEXT     what the answer must contain at its end
//   --continue N      1: a long body, or one of unknown length, waits for the answer to begin, as curl's does
//   --hold N          1: push what the kernel takes of each body, then wait until stdin ends
//   --socket-buffer N  bytes that the kernel may hold of each connection; 0: as it likes
//   --tls 1
#include "peer.h"
#include <fcntl.h>
#include <poll.h>

#define CHUNK_BYTES (64 << 10) // what curl makes of a pipe
#define CHUNKS_PER_WRITE 16
// The body goes out with its head up to here, as curl sends it: the kernel holds it until somebody wants it.
#define AT_ONCE_BYTES (64 << 10)
// From here on curl asks first, by Expect: 100-continue; it waits for a second at most.
#define ASKED_FIRST_BYTES (1 << 20)
#define CONTINUE_MS 1000
#define BOUNDARY "bench-boundary"

static int port;
static uint64_t body_bytes, transfers;
static enum { LENGTH, CHUNKED, MULTIPART } framing;
static bool is_opened_route, waits_for_continue;
static const char *expected;
static atomic_ullong next_transfer, sent_bytes, sent_sum;

static const char PART_HEAD[] =
    "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"bench.bin\"\r\n"
    "Content-Type: application/octet-stream\r\n\r\n";
static const char PART_END[] = "\r\n--" BOUNDARY "--\r\n";

// One answer, read as far as is needed.
typedef struct {
  Connection *connection;
  Head head;
  Body body;
  char text[HEAD_BYTES];
  size_t text_bytes;
} Answer;

static void keep_text(void *context, const uint8_t *data, size_t bytes) {
  Answer *answer = context;
  // Only the URL at the beginning and the verdict at the end matter: a long answer loses its middle.
  if (answer->text_bytes + bytes >= sizeof answer->text) answer->text_bytes = sizeof answer->text / 2;
  if (answer->text_bytes + bytes >= sizeof answer->text) die("an answer that is too long");
  memcpy(answer->text + answer->text_bytes, data, bytes);
  answer->text_bytes += bytes;
  answer->text[answer->text_bytes] = '\0';
}

static void begin_answer(Answer *answer, Connection *connection) {
  answer->connection = connection;
  answer->text_bytes = 0;
  answer->text[0] = '\0';
  read_head(connection, &answer->head, NULL);
  expect_success(&answer->head);
  answer->body = start_body(&answer->head);
  feed(&answer->body, (uint8_t *)answer->head.text + answer->head.bytes, answer->head.filled - answer->head.bytes,
       keep_text, answer);
}

static bool read_answer(Answer *answer) {
  uint8_t data[4096];
  if (answer->body.is_over) return false;
  ssize_t got = read_some(answer->connection, data, sizeof data);
  if (got < 0) die("no end of the answer: %s; so far: %s", strerror(errno), answer->text);
  if (got == 0 && answer->head.length == UNTIL_CLOSE && !answer->head.is_chunked) answer->body.is_over = true;
  else if (got == 0) die("the answer was cut; so far: %s", answer->text);
  feed(&answer->body, data, (size_t)got, keep_text, answer);
  return true;
}

// Prints the path of http://host:port/path, and the seed.
static void print_opened(Answer *answer, uint64_t seed) {
  char *end;
  while ((end = strchr(answer->text, '\n')) == NULL)
    if (!read_answer(answer)) die("an answer without a URL: %s", answer->text);
  char *authority = strstr(answer->text, "://"), *path = authority == NULL ? NULL : strchr(authority + 3, '/');
  if (path == NULL || path > end) die("an answer without a URL: %s", answer->text);
  printf("%.*s %016llx\n", (int)(end - path), path, (unsigned long long)seed);
}

// A sender that is to be held stands for one of a long body, of which only the beginning is pushed.
static bool asks_first(bool hold) {
  return waits_for_continue && (hold || framing != LENGTH || body_bytes >= ASKED_FIRST_BYTES);
}

static size_t make_request_head(char *head, size_t room, const char *path, bool hold) {
  char framing_fields[256];
  uint64_t length = body_bytes + (framing == MULTIPART ? sizeof PART_HEAD - 1 + sizeof PART_END - 1 : 0);
  if (framing == CHUNKED) snprintf(framing_fields, sizeof framing_fields, "Transfer-Encoding: chunked\r\n");
  else snprintf(framing_fields, sizeof framing_fields, "Content-Length: %llu\r\n", (unsigned long long)length);
  const char *type = framing == MULTIPART ? "multipart/form-data; boundary=" BOUNDARY : "application/octet-stream";
  const char *expect = asks_first(hold) ? "Expect: 100-continue\r\n" : "";
  return (size_t)snprintf(head, room,
                          "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\nContent-Type: %s\r\n%s%s\r\n", path, port,
                          type, expect, framing_fields);
}

// Nothing is read here: the 100 is skipped with the head of the answer.
static void wait_for_continue(Connection *connection) {
  struct pollfd answered = {connection->descriptor, POLLIN, 0};
  poll(&answered, 1, CONTINUE_MS);
}

// Sends the body from where `sum` stands up to `end`.
static void send_body(Connection *connection, uint64_t seed, uint8_t *data, Sum *sum, uint64_t end) {
  struct iovec parts[3 * CHUNKS_PER_WRITE];
  char sizes[CHUNKS_PER_WRITE][32];
  while (sum->bytes < end) {
    uint64_t left = end - sum->bytes;
    size_t bytes = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
    make_bytes(data, seed, sum->bytes, bytes);
    sum_add(sum, data, bytes);
    int count = 0;
    if (framing != CHUNKED) parts[count++] = (struct iovec){data, bytes};
    for (size_t at = 0, chunk = 0; framing == CHUNKED && at < bytes; chunk++) {
      size_t here = bytes - at < CHUNK_BYTES ? bytes - at : CHUNK_BYTES;
      parts[count++] = (struct iovec){sizes[chunk], (size_t)snprintf(sizes[chunk], sizeof *sizes, "%zx\r\n", here)};
      parts[count++] = (struct iovec){data + at, here};
      parts[count++] = (struct iovec){"\r\n", 2};
      at += here;
    }
    write_all(connection, parts, count);
  }
  if (end < body_bytes) return;
  if (framing == MULTIPART) write_text(connection, PART_END, sizeof PART_END - 1);
  if (framing == CHUNKED) write_text(connection, "0\r\n\r\n", 5);
}

static uint64_t seed_of(uint64_t transfer) {
  // Different in every transfer and in every run: bytes of another one never pass.
  return (transfer + 1) * 0xd1342543de82ef95u ^ (uint64_t)getpid() << 40;
}

static void transfer_one(uint64_t seed, uint8_t *data, Answer *answer) {
  char head[1024], path[64] = "/";
  Connection connection;
  if (!is_opened_route) snprintf(path, sizeof path, "/bench-%016llx", (unsigned long long)seed);
  open_connection(&connection, port);
  write_text(&connection, head, make_request_head(head, sizeof head, path, false));
  if (asks_first(false)) wait_for_continue(&connection);
  if (framing == MULTIPART) write_text(&connection, PART_HEAD, sizeof PART_HEAD - 1);
  Sum sum = {0};
  send_body(&connection, seed, data, &sum, body_bytes < AT_ONCE_BYTES ? body_bytes : AT_ONCE_BYTES);
  if (is_opened_route) {
    begin_answer(answer, &connection);
    print_opened(answer, seed);
  } else {
    printf("%s %016llx\n", path, (unsigned long long)seed);
  }
  if (body_bytes > AT_ONCE_BYTES) send_body(&connection, seed, data, &sum, body_bytes);
  if (!is_opened_route) begin_answer(answer, &connection);
  while (read_answer(answer)) continue;
  if (strstr(answer->text, expected) == NULL) die("expected \"%s\" in the answer, got: %s", expected, answer->text);
  close_connection(&connection);
  atomic_fetch_add(&sent_bytes, sum.bytes);
  atomic_fetch_xor(&sent_sum, sum_end(&sum));
}

static void *send_many(void *context) {
  (void)context;
  uint8_t *data = malloc(BLOCK_BYTES + 8);
  Answer *answer = malloc(sizeof *answer);
  for (;;) {
    uint64_t transfer = atomic_fetch_add(&next_transfer, 1);
    if (transfer >= transfers) break;
    transfer_one(seed_of(transfer), data, answer);
  }
  free(answer);
  free(data);
  return NULL;
}

// Opens every transfer and pushes its whole body into the kernel, without a receiver. Done one after the other and
// without threads, so that thousands cost little.
static void hold_all(void) {
  uint8_t *data = malloc(body_bytes + 8);
  int *held = calloc(transfers, sizeof *held);
  Answer *answer = malloc(sizeof *answer);
  for (uint64_t i = 0; i < transfers; i++) {
    char head[1024], path[64] = "/";
    uint64_t seed = seed_of(i);
    Connection connection;
    if (!is_opened_route) snprintf(path, sizeof path, "/bench-%016llx", (unsigned long long)seed);
    open_connection(&connection, port);
    write_text(&connection, head, make_request_head(head, sizeof head, path, true));
    if (asks_first(true)) wait_for_continue(&connection);
    make_bytes(data, seed, 0, body_bytes);
    write_text(&connection, (char *)data, body_bytes);
    if (is_opened_route) {
      begin_answer(answer, &connection);
      while (strchr(answer->text, '\n') == NULL)
        if (!read_answer(answer)) die("an answer without a URL: %s", answer->text);
    }
    held[i] = connection.descriptor;
  }
  printf("held %llu\n", (unsigned long long)transfers);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  // Whoever was refused or thrown out was not waiting.
  for (uint64_t i = 0; i < transfers; i++) {
    struct pollfd ended = {held[i], POLLRDHUP, 0};
    if (poll(&ended, 1, 0) != 0) die("waiting socket %llu was closed by the subject", (unsigned long long)i);
  }
}

int main(int count, char **arguments) {
  port = (int)number_argument(count, arguments, "--port", 0);
  body_bytes = number_argument(count, arguments, "--bytes", 0);
  transfers = number_argument(count, arguments, "--transfers", 1);
  size_t at_once = number_argument(count, arguments, "--at-once", 1);
  const char *form = argument(count, arguments, "--framing", "length");
  framing = strcmp(form, "chunked") == 0 ? CHUNKED : strcmp(form, "multipart") == 0 ? MULTIPART : LENGTH;
  is_opened_route = strcmp(argument(count, arguments, "--route", "named"), "opened") == 0;
  waits_for_continue = number_argument(count, arguments, "--continue", 0) == 1;
  expected = argument(count, arguments, "--expect", "");
  if (number_argument(count, arguments, "--tls", 0) == 1) set_up_tls(false, NULL, NULL);
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  signal(SIGPIPE, SIG_IGN);
  socket_buffer_bytes = (int)number_argument(count, arguments, "--socket-buffer", 0);
  raise_descriptor_limit();
  double started = now_seconds();
  if (number_argument(count, arguments, "--hold", 0) == 1) {
    hold_all();
  } else {
    pthread_t *threads = calloc(at_once, sizeof *threads);
    start_threads(threads, at_once, send_many, NULL, 0);
    for (size_t i = 0; i < at_once; i++) pthread_join(threads[i], NULL);
  }
  fprintf(stderr, "{\"transfers\":%llu,\"bytes\":%llu,\"sum\":\"%016llx\",\"seconds\":%.6f}\n",
          (unsigned long long)transfers, (unsigned long long)sent_bytes, (unsigned long long)sent_sum, now_seconds() - started);
  return 0;
}
