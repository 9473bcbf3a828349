"""Random requests from the OpenAPI document, against a live daemon with a linked device and data in it.

Fails on a 5xx other than the documented 501 and 503, on an answer that the document does not describe, on a daemon
that ended or panicked, and when fewer than the required requests went out.
"""

import base64
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import Daemon  # noqa: E402

# A PNG of one pixel.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
REQUESTS = 10_000
# CI gives more time, because other stages run beside it.
SECONDS = int(os.environ.get("WHARF_FUZZ_SECONDS", "240"))
# Added to the budget for the start and the last requests.
GRACE = 45


def create_data(daemon):
    """Creates devices, chats and messages as targets of the requests."""
    devices = [daemon.linked("fuzz-1", echo=True), daemon.linked("fuzz-2")]
    daemon.device("victim")
    messages = []
    for device in devices:
        for index in range(20):
            messages.append(daemon.incoming(device, daemon.body("fuzz"), f"1555010000{index % 5}"))
        group = {"groupId": "120363000000000001@g.us"}
        messages.append(daemon.incoming(device, daemon.body("fuzz"), **group))
        for index in range(5):
            sent = {"to": f"1555010000{index}", "text": daemon.body("fuzz")}
            messages.append(daemon.call("POST", f"/devices/{device}/messages/send", sent)["id"])
        messages += rich(daemon, device)
    groups = [daemon.call("POST", f"/devices/{device}/groups", {"subject": "Fuzz", "participants": ["15550100001"]})
              for device in devices]
    chats = [f"1555010000{index}@c.us" for index in range(5)] + ["120363000000000001@g.us", "15550100000"]
    return {
        "FUZZ_API": daemon.url + "/api/v1",
        "FUZZ_KEY": daemon.key,
        "FUZZ_DEVICES": ",".join(devices),
        "FUZZ_MESSAGES": ",".join(messages),
        "FUZZ_CHATS": ",".join(chats),
        "FUZZ_GROUPS": ",".join(group["id"] for group in groups),
    }


def rich(daemon, device):
    """Creates messages other than text, in both directions."""
    pixel = base64.b64encode(PIXEL).decode()
    contents = [
        {"media": {"data": pixel, "filename": "pixel.png"}},
        {"location": {"latitude": 52.52, "longitude": 13.405}},
        {"contact": {"name": "Ada", "phoneNumber": "+15550100002"}},
        {"poll": {"name": "Lunch?", "options": ["yes", "no"]}},
    ]
    sent = [daemon.call("POST", f"/devices/{device}/messages/send", {"to": "15550100001"} | content)["id"]
            for content in contents]
    picture = {"from": "15550100002", "media": {"data": pixel}}
    received = [daemon.call("POST", f"/simulator/{device}/incoming", picture)["messageId"] for _ in range(3)]
    return sent + received


def schemathesis(daemon, directory, environment):
    for name in ("schemathesis.toml", "hooks.py"):
        shutil.copy(HERE / name, directory)
    command = [
        str(pathlib.Path(sys.executable).parent / "st"), "run", daemon.url + "/docs-json",
        "--header", f"X-API-KEY:{daemon.key}", "--max-time", str(SECONDS), "--max-examples", "400", "--no-color",
    ]
    return subprocess.run(command, cwd=directory, env=os.environ | environment, timeout=SECONDS + GRACE, check=False)


def main():
    daemon = Daemon(WHARF__LOG__LEVEL="info", WHARF__DEVICES__MAX="100", WHARF__AUTH__FAILED_TRIES_PER_MINUTE="100000")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="wharf-fuzz-"))
    problems = []
    try:
        tally = directory / "tally"
        run = schemathesis(daemon, directory, create_data(daemon) | {"FUZZ_TALLY": str(tally)})
        if run.returncode != 0:
            problems.append(f"schemathesis found failures (exit code {run.returncode})")
        counted = tally.read_text() if tally.exists() else "0"
        print(f"requests: {counted}")
        if int(counted.split()[0]) < REQUESTS:
            problems.append(f"fewer than {REQUESTS} requests")
        if daemon.alive and daemon.request("GET", "/devices/fuzz-1/chats").status_code != 200:
            problems.append("the device with the data is gone")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        try:
            daemon.stop()
        except AssertionError as error:
            problems.append(str(error))
    for problem in problems:
        print(f"fuzz: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
