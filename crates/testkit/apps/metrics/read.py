"""Reads /metrics at a unix socket as Prometheus's own client reads it, and prints every sample as JSON."""
import http.client
import json
import socket
import sys

from prometheus_client.parser import text_string_to_metric_families


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])


connection = Connection("localhost")
connection.request("GET", "/metrics")
answer = connection.getresponse()
assert answer.getheader("content-type").startswith("text/plain; version=0.0.4"), answer.headers
samples = {}
for family in text_string_to_metric_families(answer.read().decode()):
    assert family.documentation and family.type != "unknown", family
    for sample in family.samples:
        labels = " ".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
        key = f"{sample.name} {labels}"
        assert key not in samples, key
        samples[key] = sample.value
print(json.dumps(samples))
