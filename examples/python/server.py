"""A server that inherits its socket (sd_listen_fds(3)), says when it is ready, and finishes what it has begun when told to end."""
import os
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FIRST = 3


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"ok {os.getpid()} python\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def inherited():
    """The sockets that were passed to this very process."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        raise SystemExit("start me with `ostler start ecosystem.config.js`: I inherit my socket")
    return [socket.socket(fileno=FIRST + n) for n in range(int(os.environ["LISTEN_FDS"]))]


def say(state):
    """sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)


# Waited for, not handled: a handler that starts a thread, or waits for one, hangs the server now and then.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
server = ThreadingHTTPServer(("", 0), Answer, bind_and_activate=False)
server.daemon_threads = False
server.socket.close()
[server.socket] = inherited()
# Others take connections from the same socket: one that is gone when we come is no reason to wait.
server.socket.setblocking(False)
threading.Thread(target=server.serve_forever, args=[0.1]).start()
say("READY=1")
signal.sigwait({signal.SIGINT, signal.SIGTERM})
server.shutdown()
server.server_close()
