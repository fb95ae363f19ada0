"""Leaves a grandchild that has cut every tie: double fork, a session of its own, no inherited output."""
import os
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        with open(os.environ["PID_FILE"] + ".part", "w") as file:
            file.write(str(os.getpid()))
        os.rename(os.environ["PID_FILE"] + ".part", os.environ["PID_FILE"])
        time.sleep(100000)
    os._exit(0)
os.wait()
time.sleep(100000)
