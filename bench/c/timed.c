// Runs a command, and says on descriptor 3 what it took: a line of JSON with the seconds from its start to its end, the
// CPU seconds of the command and of every process that it waited for, and the largest resident memory of any of them.
// Arguments: COMMAND [ARGUMENT...]. The status is the command's.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REPORT 3

static double seconds_of(struct timeval time) { return time.tv_sec + time.tv_usec / 1e6; }

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
  if (count < 2) {
    fprintf(stderr, "timed: Expected a command\n");
    return 2;
  }
  // The command must not hold the report open.
  fcntl(REPORT, F_SETFD, FD_CLOEXEC);
  double started = now();
  pid_t child = fork();
  if (child < 0) {
    perror("timed: fork");
    return 2;
  }
  if (child == 0) {
    // The bench ends us by SIGKILL, which we can't pass on.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(arguments[1], arguments + 1);
    fprintf(stderr, "timed: %s: %s\n", arguments[1], strerror(errno));
    _exit(127);
  }
  int status;
  struct rusage used;
  while (wait4(child, &status, 0, &used) < 0) {
    if (errno != EINTR) {
      perror("timed: wait4");
      return 2;
    }
  }
  dprintf(REPORT, "{\"seconds\":%.3f,\"cpuSeconds\":%.3f,\"peakBytes\":%ld}\n", now() - started,
          seconds_of(used.ru_utime) + seconds_of(used.ru_stime), used.ru_maxrss * 1024);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
