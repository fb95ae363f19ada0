"""Writes what it has inherited to $FACTS, says what it is told to on $NOTIFY_SOCKET, and waits."""
import json
import os
import signal
import socket
import sys

names = ("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "NODE_CHANNEL_FD", "NUMBER")
facts = {name: os.environ.get(name) for name in names}
facts["pid"] = os.getpid()
facts["arguments"] = sys.argv[1:]
facts["descriptors"] = sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}"))
facts["bound"] = [str(socket.socket(fileno=3 + n).getsockname()) for n in range(int(facts["LISTEN_FDS"] or 0))]
with open(os.environ["FACTS"] + ".new", "w") as file:
    json.dump(facts, file)
os.rename(os.environ["FACTS"] + ".new", os.environ["FACTS"])
signal.pause()
