"""Reads Prometheus' text format from standard input, and writes its samples as JSON."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

families = text_string_to_metric_families(sys.stdin.read())
samples = [(s.name, s.labels, str(s.value)) for family in families for s in family.samples]
json.dump([{"name": n, "labels": labels, "value": v} for n, labels, v in samples], sys.stdout)
