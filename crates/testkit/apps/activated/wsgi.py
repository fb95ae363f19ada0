"""For gunicorn: answers with the process id of its parent, which is the one that was launched."""
import os


def app(environ, start_response):
    body = f"ok {os.getppid()} gunicorn".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
