"""A primary of Node's cluster in Python, for the tests of the preload: workers, their channels, and the replacing of one.

It speaks the protocol as the daemon does. Modes: `rr`, the primary accepts and hands connections on; `direct`, each worker
gets the listening socket and accepts by itself.
"""
import asyncio
import collections
import json
import os
import signal
import socket
import subprocess
import time


class Listener:
    """A listening socket of the app, and the workers in rotation for it."""

    def __init__(self, message):
        self.key = f"{message['address']}:{message['port']}"
        self.data = message["data"]
        self.socket = socket.create_server(("127.0.0.1", message["port"]), backlog=511)
        self.socket.setblocking(False)

    def sockname(self):
        address, port = self.socket.getsockname()
        return {"address": address, "family": "IPv4", "port": port}


class Worker:
    """One process and its channel."""

    def __init__(self, primary, words):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        environment = {
            "PATH": os.environ["PATH"], "PORT": str(primary.port), "PACKAGES": primary.packages,
            "NODE_CHANNEL_FD": str(theirs.fileno()), "NODE_CHANNEL_SERIALIZATION_MODE": "json",
            "NODE_UNIQUE_ID": str(len(primary.workers) + 1),
        }
        self.primary = primary
        self.channel = ours
        self.in_rotation = True
        self.keys = set()
        self.heard = []          # every message that is not of the protocol's everyday
        self.unacknowledged = {}  # seq => (listener, connection)
        self.sequence = 0
        self.outgoing = collections.deque()
        self.buffer = b""
        self.news = asyncio.Event()
        self.errors = open(primary.directory / f"stderr-{len(primary.workers)}", "w+b")
        self.process = subprocess.Popen(words, env=environment, pass_fds=[theirs.fileno()], stdout=self.errors,
                                        stderr=self.errors, stdin=subprocess.DEVNULL)
        theirs.close()
        asyncio.get_running_loop().add_reader(ours, self.read)

    def send(self, message, descriptor=None):
        """Queues a frame; one descriptor goes with its frame in a `sendmsg` of their own."""
        message["seq"] = self.sequence
        self.sequence += 1
        if descriptor is not None:
            message = {"cmd": "NODE_HANDLE", "type": "net.Native", "msg": message}
        self.post(message, descriptor)
        return self.sequence - 1

    def post(self, message, descriptor=None):
        # Our own copy of the descriptor, so that it outlives the wait in the queue.
        self.outgoing.append((json.dumps(message).encode() + b"\n", None if descriptor is None else os.dup(descriptor)))
        self.flush()

    def flush(self):
        loop = asyncio.get_running_loop()
        while self.outgoing:
            frame, descriptor = self.outgoing[0]
            try:
                if descriptor is None:
                    self.channel.send(frame)
                else:
                    socket.send_fds(self.channel, [frame], [descriptor])
            except BlockingIOError:
                loop.add_writer(self.channel, self.flush)
                return
            except OSError:
                self.outgoing.clear()
                break
            if descriptor is not None:
                os.close(descriptor)
            self.outgoing.popleft()
        loop.remove_writer(self.channel)

    def read(self):
        try:
            data = self.channel.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self.channel)
            self.heard.append({"act": "end"})
            self.news.set()
            return
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            self.hear(json.loads(line))
        self.news.set()

    def hear(self, message):
        if not isinstance(message, dict) or not message.get("cmd", "").startswith("NODE_CLUSTER"):
            if not (isinstance(message, dict) and message.get("cmd") == "NODE_HANDLE_ACK"):
                self.heard.append(message)
            return
        if "accepted" in message:
            listener, connection = self.unacknowledged.pop(message["ack"])
            if not message["accepted"]:
                self.primary.dispatch(listener, connection)
            else:
                connection.close()
            return
        if message["act"] == "queryServer":
            self.answer(message)
            return
        if message["act"] == "listening":
            self.keys.add(f"{message['address']}:{message['port']}")
        self.heard.append(message)

    def answer(self, message):
        listener = self.primary.listener(message)
        reply = {"cmd": "NODE_CLUSTER", "errno": None, "key": listener.key, "ack": message["seq"], "data": listener.data}
        if self.primary.mode == "rr":
            self.send({**reply, "sockname": listener.sockname()})
        else:
            self.send(reply, listener.socket.fileno())

    async def until(self, condition, seconds, what):
        """Waits until something heard makes `condition` true; None after the deadline."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.news.clear()
            try:
                await asyncio.wait_for(self.news.wait(), left)
            except asyncio.TimeoutError:
                pass
        return found

    async def listening(self, count=1):
        if not await self.until(lambda: len(self.keys) >= count, 20, "listening"):
            raise AssertionError(f"the worker does not listen: {self.heard}\n{self.output()}")

    def said(self, act):
        return [message for message in self.heard if isinstance(message, dict) and message.get("act") == act]

    def drain(self):
        self.in_rotation = False
        self.post({"cmd": "NODE_OSTLER", "act": "drain"})

    async def ended(self, number=signal.SIGINT, patience=5):
        """Ends it as PM2 does; returns its exit code, negative for a signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        end = time.monotonic() + patience
        while self.process.poll() is None:
            if time.monotonic() > end:
                self.process.kill()
            await asyncio.sleep(0.01)
        asyncio.get_running_loop().remove_reader(self.channel)
        asyncio.get_running_loop().remove_writer(self.channel)
        self.channel.close()
        return self.process.returncode

    def output(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")


class Primary:
    """The listeners and workers of one app."""

    def __init__(self, mode, launch, port, packages, directory):
        self.mode, self.launch, self.port, self.packages, self.directory = mode, launch, port, packages, directory
        self.workers = []
        self.listeners = {}
        self.turn = 0

    def start(self):
        self.workers.append(Worker(self, self.launch))
        return self.workers[-1]

    def listener(self, message):
        key = f"{message['address']}:{message['port']}"
        if key not in self.listeners:
            self.listeners[key] = listener = Listener(message)
            if self.mode == "rr":
                asyncio.get_running_loop().add_reader(listener.socket, self.accept, listener)
        return self.listeners[key]

    def accept(self, listener):
        if not self.rotation(listener):
            return  # it waits in the backlog
        try:
            connection, _ = listener.socket.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        self.dispatch(listener, connection)

    def rotation(self, listener):
        return [worker for worker in self.workers if worker.in_rotation and listener.key in worker.keys]

    def dispatch(self, listener, connection):
        workers = self.rotation(listener)
        self.turn += 1
        worker = workers[self.turn % len(workers)]
        sequence = worker.send({"cmd": "NODE_CLUSTER", "act": "newconn", "key": listener.key}, connection.fileno())
        worker.unacknowledged[sequence] = (listener, connection)

    async def replace(self, old, deadline):
        """The daemon's sequence: a new worker listens, the old one gets no more and drains, then is ended."""
        new = self.start()
        await new.listening(len(old.keys))
        began = time.monotonic()
        old.drain()
        drained = await old.until(lambda: old.said("drained") or old.said("end"), deadline, "drained")
        seconds = time.monotonic() - began
        closed = old.said("close")
        code = await old.ended()
        return new, {"drained": bool(drained and old.said("drained")), "seconds": round(seconds, 2), "code": code,
                     "closed": len(closed), "left": [m["connections"] for m in old.said("draining")]}

    async def end(self):
        for worker in self.workers:
            if worker.process.poll() is None:
                await worker.ended()
        for listener in self.listeners.values():
            asyncio.get_running_loop().remove_reader(listener.socket)
            listener.socket.close()
