// The floor: the least that a relay can do. It reads two heads, pairs them by their path, and moves a body of known
// length from one socket to the other, by `relay copy` (read and write, a buffer of 1 MiB) or `relay splice` (through
// a pipe of 1 MiB). It checks nothing that may be wrong, and is no server for anybody else.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_BYTES 2048
#define BUFFER_BYTES (1 << 20)

// One side that waits for the other.
typedef struct Waiting {
  struct Waiting *next;
  char path[64];
  bool is_sender;
  int descriptor;
  uint64_t length;
  char *early; // body that came with the head
  size_t early_bytes;
} Waiting;

#define BUCKETS 4096
static Waiting *buckets[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool uses_splice;

static bool write_whole(int descriptor, const char *data, size_t bytes) {
  while (bytes > 0) {
    ssize_t written = send(descriptor, data, bytes, MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    data += written;
    bytes -= (size_t)written;
  }
  return true;
}

static bool copy(int from, int to, uint64_t left) {
  char *buffer = malloc(BUFFER_BYTES);
  bool is_well = true;
  while (left > 0 && is_well) {
    ssize_t got = recv(from, buffer, left < BUFFER_BYTES ? (size_t)left : BUFFER_BYTES, 0);
    if (got < 0 && errno == EINTR) continue;
    is_well = got > 0 && write_whole(to, buffer, (size_t)got);
    left -= is_well ? (uint64_t)got : 0;
  }
  free(buffer);
  return is_well;
}

static bool move(int from, int to, uint64_t left) {
  int ends[2];
  if (pipe(ends) != 0) return false;
  fcntl(ends[1], F_SETPIPE_SZ, BUFFER_BYTES);
  bool is_well = true;
  while (left > 0 && is_well) {
    ssize_t in = splice(from, NULL, ends[1], NULL, left < BUFFER_BYTES ? (size_t)left : BUFFER_BYTES, SPLICE_F_MOVE);
    if (in < 0 && errno == EINTR) continue;
    is_well = in > 0;
    for (ssize_t inside = in; inside > 0 && is_well;) {
      ssize_t out = splice(ends[0], NULL, to, NULL, (size_t)inside, SPLICE_F_MOVE | (left > (uint64_t)in ? SPLICE_F_MORE : 0));
      if (out < 0 && errno == EINTR) continue;
      is_well = out > 0;
      inside -= out;
    }
    left -= is_well ? (uint64_t)in : 0;
  }
  close(ends[0]);
  close(ends[1]);
  return is_well;
}

static void relay(Waiting *sender, int receiver) {
  char head[256];
  int bytes = snprintf(head, sizeof head,
                       "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %llu\r\nConnection: close\r\n\r\n",
                       (unsigned long long)sender->length);
  uint64_t left = sender->length - sender->early_bytes;
  static const char delivered[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\ndelivered";
  bool is_well = write_whole(receiver, head, (size_t)bytes) && write_whole(receiver, sender->early, sender->early_bytes) &&
                 (uses_splice ? move : copy)(sender->descriptor, receiver, left);
  close(receiver);
  if (is_well) write_whole(sender->descriptor, delivered, sizeof delivered - 1);
  close(sender->descriptor);
  free(sender->early);
  free(sender);
}

static uint64_t length_of(const char *head) {
  for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
    line += 2;
    if (strncasecmp(line, "content-length:", 15) == 0) return strtoull(line + 15, NULL, 10);
  }
  return 0;
}

static Waiting **bucket_of(const char *path) {
  uint32_t hash = 2166136261u;
  for (; *path != '\0'; path++) hash = (hash ^ (uint8_t)*path) * 16777619u;
  return &buckets[hash % BUCKETS];
}

// Reads one head; relays if the other side is waiting, and waits otherwise, without a thread.
static void *meet(void *context) {
  int descriptor = (int)(intptr_t)context;
  char head[HEAD_BYTES], path[64];
  size_t filled = 0;
  char *end = NULL;
  while (end == NULL && filled < sizeof head - 1) {
    ssize_t got = recv(descriptor, head + filled, sizeof head - 1 - filled, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    filled += (size_t)got;
    head[filled] = '\0';
    end = strstr(head, "\r\n\r\n");
  }
  if (end == NULL || sscanf(head, "%*s %63s", path) != 1) {
    close(descriptor);
    return NULL;
  }
  end += 4;
  bool is_sender = strncmp(head, "POST", 4) == 0;
  Waiting *mine = calloc(1, sizeof *mine), *other = NULL;
  strcpy(mine->path, path);
  mine->is_sender = is_sender;
  mine->descriptor = descriptor;
  if (is_sender) {
    mine->length = length_of(head);
    mine->early_bytes = filled - (size_t)(end - head);
    mine->early = malloc(mine->early_bytes + 1);
    memcpy(mine->early, end, mine->early_bytes);
  }
  pthread_mutex_lock(&lock);
  Waiting **bucket = bucket_of(path), **at = bucket;
  while (*at != NULL && (strcmp((*at)->path, path) != 0 || (*at)->is_sender == is_sender)) at = &(*at)->next;
  other = *at;
  if (other != NULL) {
    *at = other->next;
  } else {
    mine->next = *bucket;
    *bucket = mine;
  }
  pthread_mutex_unlock(&lock);
  if (other == NULL) return NULL;
  Waiting *sender = is_sender ? mine : other, *receiver = is_sender ? other : mine;
  relay(sender, receiver->descriptor);
  free(receiver);
  return NULL;
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  uses_splice = strcmp(arguments[1], "splice") == 0;
  int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[2])), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  signal(SIGPIPE, SIG_IGN);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1024) != 0) return 1;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  for (;;) {
    int descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    pthread_t thread;
    if (descriptor < 0) continue;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (pthread_create(&thread, &attributes, meet, (void *)(intptr_t)descriptor) != 0) close(descriptor);
  }
}
