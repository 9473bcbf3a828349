"""Runs the built daemon for a test: its own data directory, a free port, a random admin key.

When it stops, its log is searched for private data (keys, QR strings, message bodies, whole phone numbers) and
panics.
"""

import os
import pathlib
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid

import requests

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = os.environ.get("WHARF_BIN", str(ROOT / "target/debug/wharf"))
LISTENING = re.compile(r"wharf is listening.*?address=\"?(\d+\.\d+\.\d+\.\d+:\d+)")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# The fictitious numbers of tests start with 1555 and have eleven digits.
# Matches whole words only: hexadecimal request ids may contain any digits.
PHONE_NUMBER = re.compile(r"(?<![0-9a-zA-Z])1555\d{7}(?![0-9a-zA-Z])")
# Matches possible keys: base64 of at least 32 bytes with digits and capitals, or 64 hexadecimal digits.
KEY = re.compile(
    r"(?<![0-9a-zA-Z+/])(?:(?=[a-zA-Z+/]*[0-9])(?=[0-9a-z+/]*[A-Z])[0-9a-zA-Z+/]{42,}|[0-9a-f]{64,})"
)
# Device ids are chosen by clients, and random requests choose ids that resemble keys.
DEVICE = re.compile(r'\bdevice="?[\w-]+"?')


def until(check, what, seconds=5.0):
    """Polls until `check()` is true and returns its value."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


class Daemon:
    """A running daemon."""

    def __init__(self, **settings):
        self.key = "whf-test-" + secrets.token_hex(32)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="wharf-py-"))
        (self.dir / "devices").mkdir()
        self._lines = []
        self._secrets = {self.key}
        self.session = requests.Session()
        self.session.headers["X-API-KEY"] = self.key
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WHARF_")}
        environment |= {"WHARF_API_KEY": self.key, "WHARF__LOG__LEVEL": "debug"} | settings
        command = [BIN, "serve", "--listen", "127.0.0.1:0"]
        command += ["--data-dir", str(self.dir / "data"), "--devices-dir", str(self.dir / "devices")]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.address = until(self._address, "the daemon to log its address", 10)
        self.url = f"http://{self.address}"
        until(lambda: requests.get(self.url + "/healthz", timeout=5).status_code == 200, "/healthz")

    def _read(self):
        for line in self.process.stdout:
            self._lines.append(COLOURS.sub("", line.decode("utf-8", "replace")))

    def _address(self):
        if self.process.poll() is not None:
            raise AssertionError("the daemon ended:\n" + self.log)
        found = LISTENING.search(self.log)
        return found and found[1]

    @property
    def log(self):
        return "".join(self._lines)

    @property
    def alive(self):
        return self.process.poll() is None

    def secret(self, text):
        """Records a text that must not occur in the log."""
        if len(text) >= 8:
            self._secrets.add(text)
        return text

    def body(self, begin="hello"):
        """A unique message body."""
        return self.secret(f"{begin} {uuid.uuid4()}")

    def request(self, method, path, **more):
        """A request under /api/v1 with the admin key."""
        more.setdefault("timeout", 15)
        return self.session.request(method, self.url + "/api/v1" + path, **more)

    def call(self, method, path, json=None, **more):
        """A request that must succeed; returns its data."""
        answer = self.request(method, path, json=json, **more)
        assert 200 <= answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        envelope = answer.json()
        assert envelope["success"] is True, answer.text[:500]
        return envelope.get("data")

    def device(self, device=None, **simulator):
        """Creates a device that is not linked yet."""
        device = device or f"d-{uuid.uuid4().hex[:8]}"
        quick = {"ackServerMs": 20, "ackDeviceMs": 60, "ackReadMs": 120}
        settings = {"simulator": quick | simulator}
        self.call("POST", "/devices", {"id": device, "name": "Test phone", "engine": "simulator", "settings": settings})
        return device

    def linked(self, device=None, **simulator):
        """Creates a device that is linked and ready."""
        device = self.device(device, **simulator)
        self.in_state(device, "qr")
        self.secret(self.call("GET", f"/devices/{device}/qr")["qr"])
        self.call("POST", f"/simulator/{device}/scan", {"phoneNumber": "15550100099", "clientName": "Test account"})
        self.in_state(device, "ready")
        return device

    def in_state(self, device, state):
        until(lambda: self.call("GET", f"/devices/{device}/status")["state"] == state, f"{device} is {state}", 8)

    def incoming(self, device, body, sender="15550100001", **more):
        """Sends a message from a contact; returns its id once it is stored."""
        message = {"from": sender, "body": self.secret(body)} | more
        return self.call("POST", f"/simulator/{device}/incoming", message)["messageId"]

    def problems(self):
        """Private data and panics in the log."""
        found = []
        for line in self.log.splitlines():
            leaked = next((secret for secret in self._secrets if secret in line), None)
            if leaked:
                found.append(f"leaks {leaked[:12]!r}…: {line}")
            elif PHONE_NUMBER.search(line):
                found.append(f"has a whole phone number: {line}")
            elif KEY.search(DEVICE.sub("", line)):
                found.append(f"has what may be a key: {line}")
            if "panicked" in line:
                found.append(f"panics: {line}")
        return found

    def stop(self):
        """Ends it with SIGTERM and checks its log."""
        try:
            assert self.alive, f"the daemon ended by itself:\n{self.log[-3000:]}"
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(12)
            self._reader.join(5)
            assert code == 0, f"exit code {code}:\n{self.log[-2000:]}"
            problems = self.problems()
            assert not problems, "the log holds what it may not:\n" + "\n".join(problems[:8])
        finally:
            if self.alive:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()
            self.session.close()
            shutil.rmtree(self.dir, ignore_errors=True)
