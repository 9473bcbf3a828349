"""Sends alerts of Alertmanager or Grafana as messages. Usage: PYTHONPATH=../python python3 relay.py PORT NUMBER…"""
import hashlib
import hmac
import json
import os
import sys
import urllib.error
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import wharf

TOKEN = os.environ["RELAY_TOKEN"]
MAX_BODY, MAX_ALERTS, MAX_CHARS = 1 << 20, 10, 3000


def text_of(alerts):
    lines = []
    for alert in sorted(alerts, key=lambda one: one["status"])[:MAX_ALERTS]:
        name = alert.get("annotations", {}).get("summary") or alert.get("labels", {}).get("alertname", "an alert")
        lines.append(f"{alert['status']}: {name}"[:300])
    more = len(alerts) - MAX_ALERTS
    return "\n".join(lines + [f"and {more} more"] * (more > 0))[:MAX_CHARS]


def send(alerts, number):
    # Repeats, and copies of a second Alertmanager, have the same key: they send nothing for 24 hours.
    parts = sorted(f"{one['fingerprint']} {one['status']} {one['startsAt']}" for one in alerts)
    key = hashlib.sha256("\n".join([number, *parts]).encode()).hexdigest()
    try:
        wharf.send(f"alert-{key}", {"to": number, "text": text_of(alerts)})
    except urllib.error.HTTPError as error:
        # The same alerts again, whose text has changed.
        if b'"idempotency_mismatch"' not in error.read():
            raise


class Relay(BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self):
        given = self.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {TOKEN}".encode()):
            return self.answer(401)
        length = self.headers.get("content-length", "")
        if not length.isascii() or not length.isdigit() or int(length) > MAX_BODY:
            return self.answer(413)
        try:
            alerts = json.loads(self.rfile.read(int(length)))["alerts"]
            for number in sys.argv[2:]:
                send(alerts, number)
            self.answer(200)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"not an alert: {error!r}", file=sys.stderr)
            self.answer(400)
        except OSError as error:
            print(f"not sent: {error}", file=sys.stderr)
            self.answer(503)   # Alertmanager and Grafana repeat it

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Relay).serve_forever()
