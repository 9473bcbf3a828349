"""Runs the real daemon with a linked simulator device."""

import json
import os
import re
import secrets
import subprocess
import urllib.request

from processes import OUT, until

LISTENING = re.compile(r"wharf is listening.*?(\d+\.\d+\.\d+\.\d+:\d+)")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
DEVICE = """
id = "demo"
name = "Demo phone"
engine = "simulator"
[settings.simulator]
echo = false
contacts = [{ id = "15550100001@c.us", name = "Ada" }, { id = "15550100002@c.us", name = "Ben" }]
"""


class Daemon:
    def __init__(self, place, config="", **settings):
        self.place, self.key = place, "whf-test-" + secrets.token_hex(32)
        devices = place.dir / "devices"
        devices.mkdir()
        (devices / "demo.toml").write_text(DEVICE)
        (place.dir / "wharf.toml").write_text(config)
        place.env |= {"WHARF_API_KEY": self.key} | settings
        self.log_file = OUT / f"{place.name}-wharf.log"
        self.process = place.start(
            "wharf", os.environ["WHARF_BIN"], "serve", "--listen", "127.0.0.1:0", "--data-dir", str(place.dir / "data"),
            "--devices-dir", str(devices), "--config", str(place.dir / "wharf.toml"),
        )
        self.url = "http://" + until(self._address, "the daemon to listen", 20)
        until(lambda: self.get("/devices/demo")["state"] == "qr", "the device shows a code")
        self.wharf("sim", "scan", "demo")
        until(lambda: self.get("/devices/demo")["state"] == "ready", "the device is linked")

    def _address(self):
        assert self.process.poll() is None, self.log
        found = LISTENING.search(self.log)
        return found and found[1]

    @property
    def log(self):
        return COLOURS.sub("", self.log_file.read_text("utf-8", "replace"))

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def wharf(self, *args, fails=False):
        """Runs a command of the command line on this daemon."""
        command = [os.environ["WHARF_BIN"], "--url", self.url, *args]
        done = subprocess.run(command, env=self.place.env, capture_output=True, text=True, timeout=30)
        assert fails or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def get(self, path):
        request = urllib.request.Request(self.url + "/api/v1" + path, headers={"X-API-KEY": self.key})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["data"]

    def post(self, path, body):
        headers = {"X-API-KEY": self.key, "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + "/api/v1" + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["data"]

    def chat(self, who):
        """The chat with a contact."""
        return next(chat for chat in self.get("/devices/demo/chats") if chat["id"] == f"{who}@c.us")

    def incoming(self, who, text):
        """Sends a message from a contact to the device."""
        self.wharf("sim", "say", "demo", "--from", who, text)
