"""The cases: what runs under load while its worker is replaced. Each returns (tally, replacements) or raises AssertionError."""
import asyncio
import errno
import json
import socket
import subprocess

from clients import Http, Tally, WebSocket, unchecked


async def replaced(bed, app, clients, times=3, answered=20):
    """Replaces the worker of `app` so many times under these clients; each time they have been answered anew before."""
    primary = bed.primary(app)
    worker = primary.start()
    await worker.listening()
    tally, stop = Tally(), asyncio.Event()
    tasks = [asyncio.create_task(client.run()) for client in clients(primary.port, tally, stop)]
    replacements = []
    for _ in range(bed.times or times):
        await bed.until(lambda seen=tally["ok"]: tally["ok"] >= seen + answered, "answers")
        worker, replacement = await primary.replace(worker, bed.deadline)
        replacements.append(replacement)
    await bed.until(lambda seen=tally["ok"]: tally["ok"] >= seen + answered, "answers of the last worker")
    stop.set()
    await asyncio.gather(*tasks)
    lossless(tally, replacements)
    return tally, replacements


def lossless(tally, replacements, codes=(-2,)):
    """Nothing is lost, and each old worker said that it has drained, without having closed a server of the app's."""
    assert tally.lost() == 0, f"lost: {dict(tally)}, {replacements}"
    for replacement in replacements:
        assert replacement["drained"], f"not drained in time: {replacement}, {dict(tally)}"
        assert replacement["code"] in codes and replacement["closed"] == 0, replacement


def http(count, **options):
    """So many clients of HTTP/1.1."""
    return lambda port, tally, stop: [Http(port, tally, stop, **options) for _ in range(count)]


def load(app, count, times=3, answered=None, **options):
    """A case of HTTP/1.1 clients against one app."""
    async def case(bed):
        return await replaced(bed, app, http(count, **options), times, answered or count)
    return case


class Http2:
    """Node's own client of HTTP/2, in a process of its own."""

    def __init__(self, bed, scheme, port, path, streams):
        words = [bed.node, str(bed.here / "h2_client.cjs"), scheme, str(port), path, "4", str(streams)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.told = {"ok": 0, "sessions": 0}
        self.reading = asyncio.get_running_loop().run_in_executor(None, self.read)

    def read(self):
        for line in self.process.stdout:
            self.told = json.loads(line)

    def end(self):
        """Lets it finish what is under way; ends it if it cannot."""
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def http2(kind, path="/", times=3, answered=500, streams=5):
    """Continuous streams of Node's own client, or none. What it knows to be unprocessed is told apart: it may ask again."""
    async def case(bed):
        primary = bed.primary(["web.cjs", kind])
        worker = primary.start()
        await worker.listening()
        client = Http2(bed, "https" if kind == "h2" else "http", primary.port, path, streams)
        replacements = []
        try:
            for _ in range(bed.times or times):
                await bed.until(lambda seen=client.told["ok"]: client.told["ok"] >= seen + answered, "answers")
                await bed.until(lambda: client.told["sessions"] >= 4 * (1 + len(replacements)), "sessions")
                worker, replacement = await primary.replace(worker, bed.deadline)
                replacements.append(replacement)
            await bed.until(lambda seen=client.told["ok"]: client.told["ok"] >= seen + answered, "answers of the last worker")
        finally:
            await asyncio.get_running_loop().run_in_executor(None, client.end)
            await client.reading
        why, done = client.told.pop("why"), client.told.pop("done", False)
        tally = Tally(client.told)
        assert done and tally.lost() == 0, f"{tally} {why} {replacements}"
        lossless(tally, replacements)
        return tally, replacements
    return case


def under_way(kind, path="/slow"):
    """A response whose headers are not sent when the drain begins says `Connection: close`: its connection does not stay."""
    async def case(bed):
        primary = bed.primary(["web.cjs", kind])
        worker = primary.start()
        await worker.listening()
        tls = unchecked() if kind == "https" else None
        tally, stop = Tally(), asyncio.Event()
        # It asks once and then would be idle for longer than the server keeps it.
        clients = [Http(primary.port, tally, stop, path=path, tls=tls, think=30) for _ in range(5)]
        tasks = [asyncio.create_task(client.run()) for client in clients]
        assert await worker.until(lambda: worker.heard.count("asked") >= 5, 10, "requests under way")
        _, replacement = await primary.replace(worker, bed.deadline)
        stop.set()
        await bed.until(lambda: tally["ok"] >= 5, "answers")
        await asyncio.gather(*tasks)
        assert tally["told to close"] >= 5, dict(tally)
        assert replacement["seconds"] < 3, f"idle connections were waited for: {replacement}"
        lossless(tally, [replacement])
        return tally, [replacement]
    return case


async def websockets(bed):
    """Sockets stay open and work until the deadline; only then is the worker ended."""
    primary = bed.primary(["ws.cjs"])
    worker = primary.start()
    await worker.listening()
    sockets = [WebSocket() for _ in range(50)]
    await asyncio.gather(*[each.open(primary.port) for each in sockets])
    tally, stop = Tally(), asyncio.Event()
    beside = [asyncio.create_task(client.run()) for client in http(4)(primary.port, tally, stop)]
    new = primary.start()
    await new.listening()
    worker.drain()
    for _ in range(20):
        echoes = await asyncio.gather(*[each.echo(b"word") for each in sockets], return_exceptions=True)
        tally["echoes"] += sum(echo == b"word" for echo in echoes)
        tally["failed"] += sum(echo != b"word" for echo in echoes)
        await worker.until(lambda: worker.said("drained"), 0.1, "drained, which is not to come")
    left = worker.said("draining")
    assert left and left[-1]["connections"] == 50, left
    assert not worker.said("drained")
    for each in sockets:
        each.close()
    assert await worker.until(lambda: worker.said("drained"), 5, "drained"), "the sockets are closed"
    code = await worker.ended()
    stop.set()
    await asyncio.gather(*beside)
    replacement = {"drained": True, "seconds": 2, "code": code, "closed": len(worker.said("close")), "left": []}
    lossless(tally, [replacement])
    return tally, [replacement]


async def closing(bed):
    """An app that closes its server at SIGINT finds it open, whatever was drained before."""
    primary = bed.primary(["closing.cjs"])
    worker = primary.start()
    await worker.listening()
    tally, stop, replacements = Tally(), asyncio.Event(), []
    tasks = [asyncio.create_task(client.run()) for client in http(8)(primary.port, tally, stop)]
    for _ in range(bed.times or 3):
        await bed.until(lambda seen=tally["ok"]: tally["ok"] >= seen + 20, "answers")
        worker, replacement = await primary.replace(worker, bed.deadline)
        replacements.append(replacement)
    stop.set()
    await asyncio.gather(*tasks)
    lossless(tally, replacements, codes=(0,))
    return tally, replacements


async def family(bed):
    """Children and threads know nothing of the preload, and work on; the app sees no trace of it."""
    primary = bed.primary(["family.cjs"])
    worker = primary.start()
    await worker.listening()
    reader, writer = await asyncio.open_connection("127.0.0.1", primary.port)
    writer.write(b"GET /family HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    told = json.loads((await reader.read()).split(b"\r\n\r\n")[1].split(b"\r\n")[-1] or b"{}")
    writer.close()
    for who in ("self", "child", "thread"):
        assert told[who]["execArgv"] == [], f"{who}: {told[who]}"
        assert told[who]["signals"] == [0, 0, 0], f"{who}: {told[who]}"
        # `cluster` itself has one listener in a worker.
        assert told[who]["message"] == (1 if who == "self" else 0), f"{who}: {told[who]}"
    assert not told["child"]["preloaded"], told
    return await replaced(bed, ["family.cjs"], http(8), answered=20)


async def nothing(bed):
    """A worker that listens nowhere has drained at once; so it says when it is asked again."""
    primary = bed.primary(["idle.cjs"])
    worker = primary.start()
    assert await worker.until(lambda: worker.said("online"), 20, "online")
    # `online` comes before the preload; an answer shows that the app runs.
    worker.drain()
    assert await worker.until(lambda: worker.said("drained"), 5, "drained")
    worker.drain()
    assert await worker.until(lambda: len(worker.said("drained")) == 2, 5, "drained again")
    assert await worker.ended() == -2
    return Tally(), []


async def late(bed):
    """A server that begins to listen during the drain is drained too, and accepts nothing by itself."""
    primary = bed.primary(["late.cjs"])
    worker = primary.start()
    await worker.listening()
    tally, stop = Tally(), asyncio.Event()
    task = asyncio.create_task(Http(primary.port, tally, stop, path="/slow").run())
    assert await worker.until(lambda: "asked" in worker.heard, 10, "a request under way")
    worker.drain()
    other = bed.free_port()
    worker.post(other)
    await worker.listening(2)
    stop.set()
    assert await worker.until(lambda: worker.said("drained"), 5, "drained")
    await task
    if primary.mode == "direct":
        with socket.create_connection(("127.0.0.1", other)) as waiting:
            waiting.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            waiting.settimeout(0.3)
            try:
                assert False, f"answered: {waiting.recv(100)}"
            except socket.timeout:
                pass  # it waits in the backlog for a worker to come
    assert await worker.ended() == -2
    assert tally["ok"] == 1 and tally.lost() == 0, dict(tally)
    return tally, []


async def exclusive(bed):
    """A server that listens without the primary's knowledge stops accepting too, and what is under way is answered."""
    primary = bed.primary(["exclusive.cjs"])
    worker = primary.start()
    assert await worker.until(lambda: "ready" in worker.heard, 20, "ready")
    tally, stop = Tally(), asyncio.Event()
    task = asyncio.create_task(Http(primary.port, tally, stop).run())
    assert await worker.until(lambda: "asked" in worker.heard, 10, "a request under way")
    stop.set()
    worker.drain()
    assert await worker.until(lambda: worker.said("drained"), 10, "drained")
    await task
    assert tally["ok"] == 1 and tally.lost() == 0, dict(tally)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", primary.port)) == errno.ECONNREFUSED
    assert await worker.ended() == -2
    return tally, []


PIECES = (10, 10_000, 0.15)   # a body of 100 kB in 1.5 s
BIG = (20, 100_000, 0.05)     # a body of 2 MB in a second

CASES = {
    "keep-alive": load(["web.cjs", "http"], 32, answered=500),
    "fresh": load(["web.cjs", "http"], 16, fresh=True, answered=200),
    "idle": load(["web.cjs", "http"], 50, think=0.7),
    "slow": load(["web.cjs", "http"], 20, times=2, path="/slow"),
    "stream": load(["web.cjs", "http"], 20, times=2, path="/stream"),
    "upload": load(["web.cjs", "http"], 20, times=2, path="/upload", body=PIECES),
    "early": load(["web.cjs", "http"], 10, times=2, path="/early", body=BIG),
    "explicit": load(["web.cjs", "http"], 8, path="/explicit", answered=50),
    "explicit-object": load(["web.cjs", "http"], 8, path="/explicit-object", answered=50),
    "explicit-list": load(["web.cjs", "http"], 8, path="/explicit-list", answered=50),
    "under-way": under_way("http"),
    "https": load(["web.cjs", "https"], 16, tls=unchecked(), answered=200),
    "https-under-way": under_way("https"),
    "h2": http2("h2"),
    "h2c": http2("h2c"),
    "h2-idle": http2("h2", times=2, answered=0, streams=0),
    "h2-slow": http2("h2", "/slow", times=2, answered=20),
    "websockets": websockets,
    "express": load(["express.cjs"], 16, answered=200),
    "fastify": load(["fastify.cjs"], 16, answered=200),
    "esm": load(["esm.mjs"], 16, answered=200),
    "closing": closing,
    "family": family,
    "nothing": nothing,
    "late": late,
    "exclusive": exclusive,
}
