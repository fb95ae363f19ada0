"""Uvicorn on an inherited listener: answers with its process id.

When uvicorn is told to end it also closes connections that it has just accepted and whose request it has not read yet. So first it
stops accepting, and gives those a moment.
"""
import asyncio
import os
import sys

import uvicorn


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = f"ok {os.getpid()} uvicorn".encode()
    headers = [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Server(uvicorn.Server):
    async def shutdown(self, sockets=None):
        for server in self.servers:
            server.close()
        await asyncio.sleep(0.2)
        await super().shutdown(sockets)


if __name__ == "__main__":
    Server(uvicorn.Config(app, fd=int(sys.argv[1]), log_level="warning")).run()
