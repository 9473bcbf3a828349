"""What the random requests of schemathesis are steered by: they are to reach devices that exist, and to count."""

import itertools
import os
import pathlib
import random
import threading

import schemathesis

DEVICES = os.environ["FUZZ_DEVICES"].split(",")
MESSAGES = os.environ["FUZZ_MESSAGES"].split(",")
CHATS = os.environ["FUZZ_CHATS"].split(",")
TALLY = pathlib.Path(os.environ["FUZZ_TALLY"])
# These end a device, so they go to devices that are there for it.
ENDING = ("/logout", "/stop", "/restart")
CALLS = ["scan", "incoming", "receipt", "typing", "presence", "fault", "network", "reaction", "edit", "revoke", "call"]

dice = random.Random(11)
lock = threading.Lock()
requests = itertools.count(1)
statuses = {}


def device_for(case):
    ending = case.method.upper() == "DELETE" or case.path.endswith(ENDING)
    return "victim" if ending else dice.choice(DEVICES)


@schemathesis.hook
def before_call(context, case, kwargs):
    with lock:
        # Two thirds reach what exists; the rest stays as random as it was drawn.
        steered = dice.random() < 0.67
        known = {"mid": dice.choice(MESSAGES), "chatId": dice.choice(CHATS), "cid": dice.choice(CHATS)}
        known |= {"call": dice.choice(CALLS), "id": device_for(case), "deviceId": device_for(case)}
    for name in case.path_parameters or {}:
        if name in known and steered:
            case.path_parameters[name] = known[name]
    if case.path.startswith("/api/v1/simulator") and isinstance(case.body, dict):
        tame(case)


def tame(case):
    """No panic: it is looked for in the log. No end, and no hour of silence, for the devices that hold the data."""
    body = case.body
    if body.get("kind") in ("panic", "log_out", "ban"):
        body["kind"] = "drop_link"
    if isinstance(body.get("durationMs"), (int, float)):
        body["durationMs"] = min(body["durationMs"], 500)


@schemathesis.hook
def after_call(context, case, response):
    with lock:
        count = next(requests)
        statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
        if count % 50 == 0:
            shown = " ".join(f"{status}:{number}" for status, number in sorted(statuses.items()))
            TALLY.write_text(f"{count} {shown}")
