"""Is ready, says that it is ending when it gets SIGUSR1, and ends with $CODE once $GO is there."""
import os
import signal
import socket
import time

address = os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1)
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told = lambda *_: notify.sendto(b"STOPPING=1\nSTATUS=finishing", address)
signal.signal(signal.SIGUSR1, told)
notify.sendto(b"READY=1", address)
while not os.path.exists(os.environ["GO"]):
    time.sleep(0.02)
os._exit(int(os.environ["CODE"]))
