"""Verifies deliveries with the Standard Webhooks library from PyPI, and receivers with their own certificates."""

import http.server
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import threading
import unittest

from harness import Daemon, until
from standardwebhooks import Webhook, WebhookVerificationError


class Receiver:
    """Accepts every delivery, over TLS if it has a certificate."""

    def __init__(self, certificate=None):
        received = self.received = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append((dict(self.headers.items()), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_address[1]}/in"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def certificate(directory):
    """A self-signed certificate for 127.0.0.1."""
    directory.mkdir()
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=receiver"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    command += ["-keyout", directory / "key.pem", "-out", directory / "cert.pem"]
    subprocess.run(command, check=True, capture_output=True)
    return directory


class WebhookTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(WHARF__NET__ALLOW_PRIVATE="127.0.0.1")
        cls.addClassCleanup(cls.daemon.stop)

    def webhook(self, receiver, **more):
        made = self.daemon.call("POST", "/webhooks", {"url": receiver.url, "events": ["message"]} | more)
        return made["webhook"]["id"], self.daemon.secret(made["signingSecret"])

    def test_delivery_verifies_and_forgery_does_not(self):
        receiver = Receiver()
        self.addCleanup(receiver.close)
        device = self.daemon.linked()
        _, secret = self.webhook(receiver)
        text = self.daemon.body()
        self.daemon.incoming(device, text)
        headers, body = until(lambda: receiver.received and receiver.received[0], "a delivery")
        event = Webhook(secret).verify(body, headers)
        self.assertEqual((event["type"], event["data"]["message"]["body"]), ("message", text))
        other = "whsec_" + "A" * 43 + "="
        old = headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 3_600)}
        for who, what, how in [(other, body, headers), (secret, body + b" ", headers), (secret, body, old)]:
            with self.assertRaises(WebhookVerificationError):
                Webhook(who).verify(what, how)

    @unittest.skipUnless(shutil.which("openssl"), "needs openssl to make certificates")
    def test_only_configured_certificate_is_trusted(self):
        with tempfile.TemporaryDirectory() as directory:
            own, foreign = (certificate(pathlib.Path(directory) / name) for name in ["own", "foreign"])
            receiver = Receiver(own)
            self.addCleanup(receiver.close)
            outcomes = []
            for more in [{}, {"customCa": (foreign / "cert.pem").read_text()}, {"customCa": (own / "cert.pem").read_text()}]:
                webhook, _ = self.webhook(receiver, **more)
                outcomes.append(self.daemon.call("POST", f"/webhooks/{webhook}/test")["outcome"])
            self.assertEqual(outcomes, ["unreachable", "unreachable", "delivered"])


if __name__ == "__main__":
    unittest.main()
