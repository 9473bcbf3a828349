"""The daemon of the packaging tests, with the simulator."""
import json
import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("WHARF_BIN", REPO / "target/debug/wharf")).resolve()
KEY = "whf-example-key-of-this-test"
DEVICE = """
engine = "simulator"
name = "Test"
[settings.simulator]
autoScanMs = 1
ackServerMs = 1
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(check, what, seconds=30):
    """Polls until `check` returns a truthy value."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"timed out: {what}")
        time.sleep(0.05)


def answers(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Daemon:
    def __init__(self, scratch, devices, **settings):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.scratch = scratch
        self.process = None
        self.settings = settings
        (scratch / "devices").mkdir()
        for device in devices:
            (scratch / "devices" / f"{device}.toml").write_text(f'id = "{device}"\n{DEVICE}')
        self.start()

    def start(self):
        settings = {
            "WHARF_API_KEY": KEY,
            "WHARF__SERVER__LISTEN": f"127.0.0.1:{self.port}",
            "WHARF__SERVER__TRUSTED_PROXIES": "127.0.0.1",
            "WHARF__DEVICES__DIR": str(self.scratch / "devices"),
            "WHARF__NET__ALLOW_PRIVATE": "127.0.0.1",
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WHARF")}
        with open(self.scratch / "daemon.log", "ab") as log:
            self.process = subprocess.Popen(
                [BIN, "serve", "--data-dir", self.scratch / "data"], env=environment | settings | self.settings,
                stdout=log, stderr=log,
            )
        wait_for(lambda: answers(self.port), "the daemon listens")

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(15)

    def call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-API-KEY": KEY, "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url + "/api/v1" + path, data, headers), timeout=10) as answer:
            return json.load(answer)

    def wait_until_ready(self, device):
        wait_for(lambda: self.call(f"/devices/{device}/status")["data"]["state"] == "ready", f"{device} is ready")

    def say(self, device, number, text, **fields):
        self.call(f"/simulator/{device}/incoming", {"from": number, "body": text, **fields})

    def sent(self, device):
        """The messages that recipients saw, as pairs of number and text, one for each copy."""
        sent = self.call(f"/simulator/{device}/network")["data"]["sent"]
        return [(one["to"].split("@")[0], one["body"]) for one in sent for _ in range(one["shown"])]
