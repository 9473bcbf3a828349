"""Hooks of schemathesis: direct random requests to existing devices and count them."""

import itertools
import os
import pathlib
import random
import threading

import requests
import schemathesis

API = os.environ["FUZZ_API"]
HEADERS = {"X-API-KEY": os.environ["FUZZ_KEY"]}
DEVICES = os.environ["FUZZ_DEVICES"].split(",")
MESSAGES = os.environ["FUZZ_MESSAGES"].split(",")
CHATS = os.environ["FUZZ_CHATS"].split(",")
GROUPS = os.environ["FUZZ_GROUPS"].split(",")
TALLY = pathlib.Path(os.environ["FUZZ_TALLY"])
# These requests end a device, so they are sent to expendable devices.
ENDING = ("/logout", "/stop", "/restart")
CALLS = ["scan", "incoming", "receipt", "typing", "presence", "fault", "network", "reaction", "edit", "revoke", "call",
         "vote", "star", "delete", "read", "chat", "group", "pair"]

rng = random.Random(11)
lock = threading.Lock()
calls = itertools.count(1)
victims = itertools.count(1)
victim = "victim"
statuses = {}


def ends_a_device(case):
    return case.path.endswith(ENDING) or (case.method.upper() == "DELETE" and case.path == "/api/v1/devices/{id}")


@schemathesis.hook
def before_call(context, case, kwargs):
    with lock:
        # Two thirds address existing devices; the rest stays random.
        steered = rng.random() < 0.67
        existing = {"mid": rng.choice(MESSAGES), "chatId": rng.choice(CHATS), "cid": rng.choice(CHATS),
                 "gid": rng.choice(GROUPS)}
        device = victim if ends_a_device(case) else rng.choice(DEVICES)
        existing |= {"call": rng.choice(CALLS), "id": device, "deviceId": device}
    for name, drawn in (case.path_parameters or {}).items():
        # The generated id can name a device of an earlier answer.
        spared = drawn in DEVICES and ends_a_device(case)
        if name in existing and (steered or spared):
            case.path_parameters[name] = existing[name]
    if case.path.startswith("/api/v1/simulator") and isinstance(case.body, dict):
        tame(case)


def tame(case):
    """Prevents injected panics, which the log check rejects, and faults that end or silence the data devices."""
    body = case.body
    if body.get("kind") in ("panic", "log_out", "ban"):
        body["kind"] = "drop_link"
    if isinstance(body.get("durationMs"), (int, float)):
        body["durationMs"] = min(body["durationMs"], 500)


@schemathesis.hook
def after_call(context, case, response):
    if case.method.upper() == "DELETE" and case.path == "/api/v1/devices/{id}" and response.status_code == 200:
        renew(case.path_parameters["id"])
    with lock:
        count = next(calls)
        statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
        if count % 50 == 0:
            shown = " ".join(f"{status}:{number}" for status, number in sorted(statuses.items()))
            TALLY.write_text(f"{count} {shown}")


def renew(deleted):
    """Creates the next expendable device after a deletion."""
    global victim
    if deleted != victim:
        return
    with lock:
        name = f"victim-{next(victims)}"
    requests.post(f"{API}/devices", json={"id": name}, headers=HEADERS, timeout=10)
    victim = name
