// A server without any runtime: inherits one listener (sd_listen_fds(3)), answers one connection after the other, and ends
// at SIGTERM when it has answered the one it has.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t told;

// The signal may come just before accept: then the alarm interrupts that.
static void end(int signal) {
  (void)signal;
  told = 1;
  alarm(1);
}

static void answer(int connection) {
  char request[4096], body[64], reply[256];
  size_t have = 0;
  while (have < sizeof request - 1) {
    ssize_t length = read(connection, request + have, sizeof request - 1 - have);
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) return;
    have += (size_t)length;
    request[have] = 0;
    if (strstr(request, "\r\n\r\n")) break;
  }
  int size = snprintf(body, sizeof body, "ok %d native", getpid());
  int whole = snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", size, body);
  for (int sent = 0; sent < whole;) {
    ssize_t length = write(connection, reply + sent, (size_t)(whole - sent));
    if (length < 0 && errno != EINTR) return;
    if (length > 0) sent += (int)length;
  }
}

int main(void) {
  const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
  if (!pid || !count || atoi(pid) != getpid() || atoi(count) != 1) return 9;
  struct sigaction action = {.sa_handler = end};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGALRM, &action, NULL);
  while (!told) {
    int connection = accept(3, NULL, NULL);
    if (connection < 0) continue;
    answer(connection);
    close(connection);
  }
  return 0;
}
