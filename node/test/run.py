#!/usr/bin/env python3
"""Proves the preload: replaces workers under load and counts what is lost.

usage: run.py --node PROGRAM --packages DIRECTORY [--modes rr,direct] [--cases NAME,…] [--times N] [--without]

DIRECTORY holds `express-4`, `fastify-4` and `ws-8`, each an npm installation. Prints a line per case and mode, and exits 1
when one fails. `--times` says how often a worker is replaced in each case; `--without` leaves the preload out, which shows
that the cases can fail.
"""
import argparse
import asyncio
import errno
import pathlib
import random
import socket
import sys
import tempfile
import time

from cases import CASES
from primary import Primary

HERE = pathlib.Path(__file__).resolve().parent


class Bed:
    """What a case needs of its surroundings."""

    here = HERE

    def __init__(self, options, mode, directory):
        self.node, self.packages, self.mode, self.directory = options.node, options.packages, mode, directory
        self.preload = [] if options.without else ["--require", str(HERE.parent / "preload.cjs")]
        self.times = options.times  # None: as the case has it
        self.deadline = 1 if options.without else 10  # seconds that a drain may take
        self.primaries = []

    def primary(self, app):
        directory = self.directory / str(len(self.primaries))
        directory.mkdir()
        launch = [self.node, *self.preload, str(HERE / "apps" / app[0]), *app[1:]]
        self.primaries.append(Primary(self.mode, launch, self.free_port(), self.packages, directory))
        return self.primaries[-1]

    @staticmethod
    def free_port():
        """Of those that the kernel gives to no client (ip_local_port_range): any other one may be a client's before it is listened on."""
        while True:
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", random.randrange(10_000, 32_000)))
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:
                        raise
                    continue
                return probe.getsockname()[1]

    async def until(self, condition, what, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {what}")
            await asyncio.sleep(0.005)

    async def end(self):
        """Ends what still runs; what workers wrote to their output is a failure, since none has reason to."""
        written = ""
        for primary in self.primaries:
            await primary.end()
            written += "".join(worker.output() for worker in primary.workers)
        return written


async def run(name, options, mode):
    with tempfile.TemporaryDirectory(prefix="ostler-preload-") as directory:
        bed = Bed(options, mode, pathlib.Path(directory))
        began = time.monotonic()
        try:
            tally, replacements = await asyncio.wait_for(CASES[name](bed), 90)
            failure = ""
        except (AssertionError, asyncio.TimeoutError) as error:
            tally, replacements, failure = {}, [], f"{type(error).__name__}: {error}"
        finally:
            written = await bed.end()
        if written:
            failure += f" the workers wrote: {written}"
    drains = "/".join(str(replacement["seconds"]) for replacement in replacements)
    counts = ", ".join(f"{count} {kind}" for kind, count in tally.items() if count)
    verdict = f"FAILED {failure}" if failure else "passed"
    print(f"{name:16} {mode:7} {verdict}; {counts or 'no requests'}; drained in {drains or '-'} s;"
          f" {time.monotonic() - began:.1f} s", flush=True)
    return not failure


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--node", required=True)
    parser.add_argument("--packages", required=True)
    parser.add_argument("--modes", default="rr,direct")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--times", type=int)
    parser.add_argument("--without", action="store_true")
    options = parser.parse_args()
    chosen = [(name, mode) for name in options.cases.split(",") for mode in options.modes.split(",")]
    passed = [asyncio.run(run(name, options, mode)) for name, mode in chosen]
    sys.exit(0 if all(passed) else 1)


if __name__ == "__main__":
    main()
