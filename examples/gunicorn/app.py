"""A WSGI app: answers with the process id of the Gunicorn that was launched."""
import os


def app(environ, start_response):
    body = f"ok {os.getppid()} gunicorn\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
