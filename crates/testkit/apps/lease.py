"""Holds a lease on the file $FILE (fcntl(2), "Leases"): whoever opens or truncates it waits. Says `held`, then `asked` when somebody
does, and lets go of it when its input ends. Waits first until nobody else has the file open."""
import fcntl
import os
import signal
import sys
import time

descriptor = os.open(os.environ["FILE"], os.O_RDWR)
signal.signal(signal.SIGIO, lambda number, frame: print("asked", flush=True))
while True:
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        break
    except BlockingIOError:
        time.sleep(0.01)
print("held", flush=True)
sys.stdin.read()
fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
