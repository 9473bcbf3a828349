"""Child processes of these tests: each has its own log, bounded waits, and is ended by its id."""

import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "effects"


def until(check, what, seconds=10.0):
    """Polls until `check()` is true and returns its value."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Place:
    """A directory of one test and the processes in it."""

    def __init__(self, name):
        OUT.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="wharf-fx-"))
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.dir), "LANG": "C.UTF-8"}
        self.env["XDG_RUNTIME_DIR"] = str(self.dir)
        self.processes = []

    def start(self, name, *command, **more):
        log = open(OUT / f"{self.name}-{name}.log", "wb")
        more.setdefault("stdout", log)
        more.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(command, env=self.env, stderr=log, start_new_session=True, **more)
        log.close()
        self.processes.append(process)
        return process

    def run(self, *command, seconds=20):
        return subprocess.run(command, env=self.env, check=True, timeout=seconds, capture_output=True, text=True).stdout

    def close(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            for pipe in filter(None, [process.stdin, process.stdout]):
                pipe.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
        shutil.rmtree(self.dir, ignore_errors=True)


class Silent:
    """A socket that accepts connections and never answers."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(16)

    def close(self):
        self.socket.close()


class Driver:
    """The example `effects`."""

    def __init__(self, place):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = place.start("driver", os.environ["DRIVER_BIN"], str(place.dir), **pipes)
        self.log = OUT / f"{place.name}-driver.log"

    def ask(self, do, seconds=20, **what):
        self.begin(do, **what)
        return self.answer(seconds)

    def begin(self, do, **what):
        self.process.stdin.write(json.dumps({"do": do} | what).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self, seconds=20):
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        assert ready, f"the driver did not answer within {seconds} s"
        return json.loads(self.process.stdout.readline())
