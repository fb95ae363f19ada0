"""Strict clients: each counts every request that it sent and did not get wholly answered.

What is lost, by kind:
  refused    the connection was refused or reset at once
  stale      a reused connection ended under a request, no byte of the answer came
  hard       a fresh connection ended under its first request, no byte of the answer came
  truncated  the answer began and was cut
  status     an answer other than 200
  timeout    no answer in 15 s
`idle_close` is no loss: the server ended a connection on which no request was under way.
"""
import asyncio
import base64
import collections
import os
import ssl

LOST = ("refused", "stale", "hard", "truncated", "status", "timeout", "failed")


class Tally(collections.Counter):
    """What became of the requests of one case."""

    def lost(self):
        return sum(self[kind] for kind in LOST)


def unchecked():
    """TLS without a look at the certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def response(reader):
    """(status, headers, body) of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = {name.strip().lower(): value.strip().lower() for name, _, value in (line.partition(b":") for line in lines)}
    if headers.get(b"transfer-encoding") == b"chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(headers[b"content-length"]))
    return int(first.split()[1]), headers, body


class Http:
    """One client that sends a request after the other until `stop` is set."""

    def __init__(self, port, tally, stop, path="/", tls=None, fresh=False, think=0.0, body=None):
        self.port, self.tally, self.stop, self.path, self.tls = port, tally, stop, path, tls
        self.fresh, self.think, self.body = fresh, think, body

    async def run(self):
        while not self.stop.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
            except OSError:
                self.tally["refused"] += 1
                await asyncio.sleep(0.01)
                continue
            await self.converse(reader, writer)
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                pass

    async def converse(self, reader, writer):
        reused = False
        while not self.stop.is_set():
            if reader.at_eof():
                self.tally["idle_close"] += 1
                return
            try:
                status, headers, _ = await asyncio.wait_for(self.ask(reader, writer), 15)
            except asyncio.TimeoutError:
                self.tally["timeout"] += 1
                return
            except (asyncio.IncompleteReadError, OSError) as error:
                begun = getattr(error, "partial", b"")
                self.tally["truncated" if begun else "stale" if reused else "hard"] += 1
                return
            self.tally["ok" if status == 200 else "status"] += 1
            closing = headers.get(b"connection") == b"close"
            self.tally["told to close"] += closing and not self.fresh
            if closing:
                return
            reused = True
            if self.think:
                await self.pause(reader)

    async def pause(self, reader):
        """Thinks until the time is over, the connection ends, or all is over."""
        waits = [asyncio.ensure_future(self.stop.wait()), asyncio.ensure_future(reader.read(1))]
        await asyncio.wait(waits, timeout=self.think, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    async def ask(self, reader, writer):
        close = "Connection: close\r\n" if self.fresh else ""
        if self.body is None:
            writer.write(f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\n{close}\r\n".encode())
        else:
            pieces, size, pause = self.body
            length = pieces * size
            writer.write(f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{close}\r\n".encode())
            for _ in range(pieces):
                # The whole request is sent before the answer is looked at.
                await asyncio.sleep(pause)
                writer.write(b"x" * size)
                await writer.drain()
        await writer.drain()
        return await response(reader)


class WebSocket:
    """A client that has each of its words echoed."""

    async def open(self, port):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        key = base64.b64encode(os.urandom(16)).decode()
        self.writer.write((f"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head

    async def echo(self, word):
        """Sends a word and gets what comes back (RFC 6455, 5.2; a mask of zeros leaves the word as it is)."""
        self.writer.write(bytes([0x81, 0x80 | len(word)]) + bytes(4) + word)
        _, length = await self.reader.readexactly(2)
        return await self.reader.readexactly(length)

    def close(self):
        self.writer.close()
