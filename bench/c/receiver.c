// Fetches what the sender has opened: a line of stdin is the path and the seed of its bytes. At the end, one line of
// JSON on stderr: what came, its sum, and what was asked for.
//
//   --port N          the subject's
//   --at-once N       fetches at the same time
//   --pause-us N      between the line and the request, so that the body is there already
//   --first-byte 1    report the microseconds from each request to its first byte of body
//   --rate N          bytes a second that each fetch takes; 0 for as many as come
//   --window-ms N     take the bytes of each fetch in this window, then cut all of them
//   --lead-ms N       how long all of them run before the window
//   --listen N        1: be an origin instead, behind a plain proxy; prints its port, takes --transfers POSTs
//   --socket-buffer N  bytes that the kernel may hold of each connection; 0: as it likes
//   --tls 1           --certificate FILE --key FILE where it listens
#include "peer.h"

typedef struct {
  Sum sum;
  uint64_t seed;
  atomic_ullong bytes;
  double body_began, body_ended;
  bool has_body;
  atomic_int descriptor; // 0 while there is none
} Fetch;

static int port, listener;
static size_t at_once;
static uint64_t pause_us, rate, transfers;
static bool takes_first_byte, takes_window, is_origin;
static atomic_ullong received_bytes, received_sum, done, accepted;
static atomic_bool is_cut;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static double *first_byte_us;
static uint64_t *window_bytes;
static Fetch *fetches;

static void take(void *context, const uint8_t *data, size_t bytes) {
  Fetch *fetch = context;
  if (!fetch->has_body) fetch->body_began = now_seconds();
  fetch->has_body = true;
  sum_add(&fetch->sum, data, bytes);
  atomic_store_explicit(&fetch->bytes, fetch->sum.bytes, memory_order_relaxed);
}

static void receive_body(Connection *connection, Head *head, Fetch *fetch, uint8_t *data) {
  Body body = start_body(head);
  double began = now_seconds();
  feed(&body, (uint8_t *)head->text + head->bytes, head->filled - head->bytes, take, fetch);
  while (!body.is_over && !is_cut) {
    ssize_t got = read_some(connection, data, rate > 0 ? 16 << 10 : BLOCK_BYTES);
    if (is_cut) break;
    if (got < 0) die("the body was broken off after %llu bytes: %s", (unsigned long long)fetch->sum.bytes, strerror(errno));
    if (got == 0 && body.left == UNTIL_CLOSE && !body.is_chunked) break;
    if (got == 0) die("the body was cut after %llu bytes", (unsigned long long)fetch->sum.bytes);
    feed(&body, data, (size_t)got, take, fetch);
    double ahead = rate == 0 ? 0 : (double)fetch->sum.bytes / (double)rate - (now_seconds() - began);
    if (ahead > 0) sleep_seconds(ahead);
  }
  fetch->body_ended = now_seconds();
}

// The bytes are those of the seed, up to where they ended.
static void check(Fetch *fetch) {
  uint64_t sum = sum_end(&fetch->sum);
  if (sum != sum_expected(fetch->seed, fetch->sum.bytes))
    die("the bytes are wrong, somewhere in the first %llu", (unsigned long long)fetch->sum.bytes);
  atomic_fetch_add(&received_bytes, fetch->sum.bytes);
  atomic_fetch_xor(&received_sum, sum);
}

static bool next_line(char *path, size_t room, uint64_t *seed) {
  char line[512], name[400];
  pthread_mutex_lock(&lock);
  bool is_there = fgets(line, sizeof line, stdin) != NULL;
  pthread_mutex_unlock(&lock);
  unsigned long long value;
  if (!is_there) return false;
  if (sscanf(line, "%399s %llx", name, &value) != 2) die("expected a path and a seed, got %s", line);
  snprintf(path, room, "%s", name);
  *seed = value;
  return true;
}

static void *fetch_many(void *context) {
  Fetch *fetch = context;
  uint8_t *data = malloc(BLOCK_BYTES);
  Head *head = malloc(sizeof *head);
  char path[400], request[600];
  uint64_t seed;
  while (!is_cut && next_line(path, sizeof path, &seed)) {
    Connection connection;
    fetch->sum = (Sum){0};
    fetch->seed = seed;
    fetch->has_body = false;
    if (pause_us > 0) sleep_seconds((double)pause_us / 1e6);
    int bytes = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\n\r\n", path, port);
    open_connection(&connection, port);
    fetch->descriptor = connection.descriptor;
    double asked = now_seconds();
    write_text(&connection, request, (size_t)bytes);
    double answered;
    read_head(&connection, head, &answered);
    expect_success(head);
    receive_body(&connection, head, fetch, data);
    if (is_cut) break;
    fetch->descriptor = 0;
    close_connection(&connection);
    check(fetch);
    uint64_t number = atomic_fetch_add(&done, 1);
    if (takes_first_byte && number < transfers)
      first_byte_us[number] = ((head->filled > head->bytes ? answered : fetch->body_began) - asked) * 1e6;
  }
  free(head);
  free(data);
  return NULL;
}

static void *serve_many(void *context) {
  Fetch *fetch = context;
  uint8_t *data = malloc(BLOCK_BYTES);
  Head *head = malloc(sizeof *head);
  while (atomic_fetch_add(&accepted, 1) < transfers) {
    Connection connection;
    int descriptor = accept(listener, NULL, NULL);
    if (descriptor < 0) die("cannot accept: %s", strerror(errno));
    adopt(&connection, descriptor, true);
    read_head(&connection, head, NULL);
    fetch->sum = (Sum){0};
    fetch->has_body = false;
    const char *seed = strstr(head->text, "/bench-");
    if (seed == NULL) die("expected POST /bench-SEED, got %.100s", head->text);
    fetch->seed = strtoull(seed + 7, NULL, 16);
    receive_body(&connection, head, fetch, data);
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwhole";
    write_text(&connection, answer, sizeof answer - 1);
    close_connection(&connection);
    check(fetch);
    atomic_fetch_add(&done, 1);
  }
  free(head);
  free(data);
  return NULL;
}

static void start_listening(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t bytes = sizeof address;
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr *)&address, bytes) != 0 || listen(listener, 1024) != 0)
    die("cannot listen: %s", strerror(errno));
  getsockname(listener, (struct sockaddr *)&address, &bytes);
  printf("%d\n", ntohs(address.sin_port));
}

// Once bytes flow in all of them: what each got in the window.
static double take_window(uint64_t lead_ms, uint64_t window_ms) {
  for (size_t i = 0; i < at_once; i++) {
    double began = now_seconds();
    while (fetches[i].bytes == 0) {
      if (now_seconds() - began > SILENCE_SECONDS) die("fetch %zu of %zu got no byte", i + 1, at_once);
      sleep_seconds(0.01);
    }
  }
  sleep_seconds((double)lead_ms / 1000);
  double from = now_seconds();
  for (size_t i = 0; i < at_once; i++) window_bytes[i] = fetches[i].bytes;
  sleep_seconds((double)window_ms / 1000);
  for (size_t i = 0; i < at_once; i++) window_bytes[i] = fetches[i].bytes - window_bytes[i];
  double seconds = now_seconds() - from;
  is_cut = true;
  // Wakes those that the subject has left without a byte.
  for (size_t i = 0; i < at_once; i++)
    if (fetches[i].descriptor != 0) shutdown(fetches[i].descriptor, SHUT_RDWR);
  return seconds;
}

int main(int count, char **arguments) {
  port = (int)number_argument(count, arguments, "--port", 0);
  at_once = number_argument(count, arguments, "--at-once", 1);
  transfers = number_argument(count, arguments, "--transfers", 1);
  pause_us = number_argument(count, arguments, "--pause-us", 0);
  rate = number_argument(count, arguments, "--rate", 0);
  takes_first_byte = number_argument(count, arguments, "--first-byte", 0) == 1;
  is_origin = number_argument(count, arguments, "--listen", 0) == 1;
  uint64_t window_ms = number_argument(count, arguments, "--window-ms", 0);
  takes_window = window_ms > 0;
  first_byte_us = calloc(transfers, sizeof *first_byte_us);
  window_bytes = calloc(at_once, sizeof *window_bytes);
  fetches = calloc(at_once, sizeof *fetches);
  if (number_argument(count, arguments, "--tls", 0) == 1)
    set_up_tls(is_origin, argument(count, arguments, "--certificate", ""), argument(count, arguments, "--key", ""));
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  signal(SIGPIPE, SIG_IGN);
  socket_buffer_bytes = (int)number_argument(count, arguments, "--socket-buffer", 0);
  raise_descriptor_limit();
  if (is_origin) start_listening();
  double started = now_seconds();
  pthread_t *threads = calloc(at_once, sizeof *threads);
  start_threads(threads, at_once, is_origin ? serve_many : fetch_many, fetches, sizeof *fetches);
  double seconds = 0;
  if (takes_window) seconds = take_window(number_argument(count, arguments, "--lead-ms", 500), window_ms);
  for (size_t i = 0; i < at_once; i++) pthread_join(threads[i], NULL);
  for (size_t i = 0; i < at_once; i++) {
    if (takes_window) check(&fetches[i]);
    // Up to the last byte: what it takes to check them is nobody's.
    else if (fetches[i].body_ended - started > seconds) seconds = fetches[i].body_ended - started;
  }
  fprintf(stderr, "{\"transfers\":%llu,\"bytes\":%llu,\"sum\":\"%016llx\",\"seconds\":%.6f,\"firstByteUs\":[",
          (unsigned long long)done, (unsigned long long)received_bytes, (unsigned long long)received_sum, seconds);
  for (uint64_t i = 0; takes_first_byte && i < transfers; i++) fprintf(stderr, "%s%.1f", i > 0 ? "," : "", first_byte_us[i]);
  fprintf(stderr, "],\"windowBytes\":[");
  for (size_t i = 0; takes_window && i < at_once; i++)
    fprintf(stderr, "%s%llu", i > 0 ? "," : "", (unsigned long long)window_bytes[i]);
  fprintf(stderr, "]}\n");
  return 0;
}
