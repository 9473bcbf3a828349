"""A client of Wharf's REST interface, with the standard library only. Reads WHARF_URL, WHARF_DEVICE and WHARF_KEY."""
import json
import os
import sys
import urllib.request

URL = os.environ.get("WHARF_URL", "http://127.0.0.1:3000")
DEVICE = os.environ.get("WHARF_DEVICE", "demo")
API = f"{URL}/api/v1/devices/{DEVICE}"


def request(path, body=None, headers=None, timeout=30):
    """Opens a request; a JSON body makes it a POST. An answer of 400 and above raises HTTPError."""
    headers = {"X-API-KEY": os.environ["WHARF_KEY"], **(headers or {})}
    if body is not None and not isinstance(body, bytes):
        body, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    return urllib.request.urlopen(urllib.request.Request(API + path, body, headers), timeout=timeout)


def call(path, body=None, headers=None):
    """The `data` of a JSON answer."""
    with request(path, body, headers) as answer:
        return json.load(answer)["data"]


def send(key, body):
    """Sends a message. The same key again within 24 hours sends nothing and returns the same answer."""
    return call("/messages/send", body, {"Idempotency-Key": key})


def newest_seq():
    with request("/events?limit=1") as answer:
        return json.load(answer)["newestSeq"]


def messages(path):
    """Follows the event log after the position in a file; ends with the connection. The daemon sends comments when idle."""
    after = read_position(path)
    with request(f"/events?types=message&after={after}", headers={"Accept": "text/event-stream"}, timeout=60) as stream:
        for line in stream:
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                if "oldestSeq" in event:
                    return resync(path, after, event)
                if "message" in event:
                    yield event


def resync(path, after, event):
    """Moves the position to the entries that the log still has, or to its end if it is an older log, of a backup."""
    position = event["newestSeq"] if after > event["newestSeq"] else event["oldestSeq"] - 1
    print(f"resync: events after {after} are missing, continued after {position}: reload over REST", file=sys.stderr)
    write_position(path, position)


def read_position(path):
    """The number of the last processed event; at the first start, the newest one."""
    try:
        with open(path) as file:
            return int(file.read())
    except FileNotFoundError:
        position = newest_seq()
        write_position(path, position)
        return position


def write_position(path, seq):
    """Replaces the file at once, so that a crash leaves the old or the new number."""
    with open(f"{path}.new", "w") as file:
        file.write(str(seq))
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)
