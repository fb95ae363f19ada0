"""Reads a request in the JSON of OTLP by the official definition, in which every field has to be, and prints what is in it."""
import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

with open(sys.argv[1], encoding="utf-8") as file:
    request = json_format.Parse(file.read(), ExportMetricsServiceRequest(), ignore_unknown_fields=False)
names, temporalities, answers = set(), set(), 0
for resource in request.resource_metrics:
    assert resource.resource.attributes, resource
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            names.add(metric.name)
            kind = metric.WhichOneof("data")
            data = getattr(metric, kind)
            assert data.data_points, metric
            if kind != "gauge":
                temporalities.add(AggregationTemporality.Name(data.aggregation_temporality))
            for point in data.data_points:
                assert point.time_unix_nano > 1_700_000_000_000_000_000, metric
                assert point.start_time_unix_nano <= point.time_unix_nano, metric
                assert kind == "histogram" or point.WhichOneof("value"), metric
            if metric.name == "http.server.request.duration":
                answers += data.data_points[0].count
print(json.dumps({
    "resources": len(request.resource_metrics),
    "names": sorted(names),
    "temporalities": sorted(temporalities),
    "answers": answers,
}))
