// A server without any runtime, whose instances share a port: it inherits the listening socket (sd_listen_fds(3)), says when it is ready
// (sd_notify(3)), and at SIGTERM finishes what it has and ends. `cc -O2 -o server server.c`
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTENER = 3 };  // the first descriptor that is passed

static volatile sig_atomic_t told_to_end;

static void on_signal(int signal) {
  (void)signal;
  told_to_end = 1;
}

// Tells Ostler something, e.g. READY=1. An address that begins with @ is an abstract one.
static void say(const char *state) {
  const char *path = getenv("NOTIFY_SOCKET");
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (!path || strlen(path) >= sizeof address.sun_path) return;
  size_t length = strlen(path);
  memcpy(address.sun_path, path, length);
  if (address.sun_path[0] == '@') address.sun_path[0] = 0;
  int out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (out < 0) return;
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  if (sendto(out, state, strlen(state), 0, (struct sockaddr *)&address, size) < 0) perror("sendto");
  close(out);
}

// Reads the head of a request. Whoever sends none within the time limit of the socket is left.
static int read_request(int connection) {
  char request[8192];
  size_t have = 0;
  while (have < sizeof request - 1) {
    ssize_t length = read(connection, request + have, sizeof request - 1 - have);
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) return -1;
    have += (size_t)length;
    request[have] = 0;
    if (strstr(request, "\r\n\r\n")) return 0;
  }
  return -1;
}

static void answer(int connection) {
  char body[64], reply[256];
  struct timeval limit = {.tv_sec = 5};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (read_request(connection) < 0) return;
  int size = snprintf(body, sizeof body, "ok %d native\n", (int)getpid());
  int whole = snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", size, body);
  for (int sent = 0; sent < whole;) {
    ssize_t length = send(connection, reply + sent, (size_t)(whole - sent), MSG_NOSIGNAL);
    if (length < 0 && errno != EINTR) return;
    if (length > 0) sent += (int)length;
  }
}

int main(void) {
  const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
  if (!pid || !count || atoi(pid) != getpid() || atoi(count) != 1) {
    fprintf(stderr, "start me with `ostler start`: I inherit my socket\n");
    return 1;
  }
  // Signals come only while it waits, so none is missed between a look at `told_to_end` and the wait.
  struct sigaction action = {.sa_handler = on_signal};
  sigset_t blocked, waiting;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGINT);
  sigprocmask(SIG_BLOCK, &blocked, &waiting);
  sigdelset(&waiting, SIGTERM);
  sigdelset(&waiting, SIGINT);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);

  // Others take connections from the same socket: one that is gone when we come is no reason to wait.
  fcntl(LISTENER, F_SETFL, fcntl(LISTENER, F_GETFL) | O_NONBLOCK);
  struct pollfd listener = {.fd = LISTENER, .events = POLLIN};
  say("READY=1");
  while (!told_to_end) {
    if (ppoll(&listener, 1, NULL, &waiting) <= 0) continue;
    int connection = accept4(LISTENER, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) continue;
    answer(connection);
    close(connection);
  }
  return 0;
}
