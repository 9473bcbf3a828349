"""The main flow with python-socketio: QR code, scan, receive, send, acknowledgements."""

import threading
import unittest

import socketio
from engineio.payload import Payload
from harness import Daemon, until

# The client refuses polling answers with more packets than this; its default of 16 is too small for a replay.
Payload.max_decode_packets = 10_000

OWN = "15550100099"
FRIEND = "15550100001"


class Dashboard:
    """A python-socketio client on one device's namespace that records every event."""

    def __init__(self, daemon, device, transports, key=None, in_headers=False, **auth):
        self.namespace = f"/device/{device}"
        self.all = []
        self.refusals = []
        self.disconnected = threading.Event()
        self.client = socketio.Client(reconnection=False)
        self.client.on("*", self._record, namespace=self.namespace)
        self.client.on("connect_error", self.refusals.append, namespace=self.namespace)
        self.client.on("disconnect", lambda *_: self.disconnected.set(), namespace=self.namespace)
        key = daemon.key if key is None else key
        query = f"?apiKey={key}" if key and not in_headers else ""
        headers = {"X-API-KEY": key} if key and in_headers else {}
        self.connected = True
        try:
            self.client.connect(
                daemon.url + query, headers=headers, socketio_path="/ws", namespaces=[self.namespace],
                transports=transports, auth=auth or None, wait_timeout=5,
            )
        except socketio.exceptions.ConnectionError:
            self.connected = False

    def _record(self, name, payload):
        self.all.append((name, payload))

    def named(self, name):
        return [payload for other, payload in list(self.all) if other == name]

    def next(self, name, check=lambda _: True, seconds=5):
        def find():
            return next((payload for payload in self.named(name) if check(payload)), None)

        return until(find, f"{name}; came: {[name for name, _ in self.all][-30:]}", seconds)

    def ask(self, name, payload):
        return self.client.call(name, payload, namespace=self.namespace, timeout=5)

    def close(self):
        self.client.disconnect()


class Flow:
    """The tests of each transport."""

    transports = None
    in_headers = False

    @classmethod
    def setUpClass(cls):
        # If a polling client is refused during its own POST, it omits CLOSE and waits for the next heartbeat.
        cls.daemon = Daemon(WHARF__SOCKET__PING_INTERVAL_MS="1000")

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def open(self, device, **more):
        board = Dashboard(self.daemon, device, self.transports, in_headers=self.in_headers, **more)
        self.addCleanup(board.close)
        self.assertTrue(board.connected, board.refusals)
        return board

    def refused(self, device, **more):
        board = Dashboard(self.daemon, device, self.transports, in_headers=self.in_headers, **more)
        self.addCleanup(board.close)
        self.assertFalse(board.connected)
        self.assertEqual(len(board.refusals), 1, board.refusals)
        return board.refusals[0]["message"]

    # covers: event qr
    # covers: event authenticated
    # covers: event ready
    # covers: event message
    # covers: event message:created
    # covers: event message:status
    # covers: event message:ack
    # covers: event message-ack
    # covers: event message:read
    # covers: emit message:send
    def test_device_links_sends_and_gets_every_ack(self):
        daemon = self.daemon
        device = daemon.device()
        board = self.open(device, since=0)
        self.assertEqual(board.client.transport(), self.transports[-1])
        snapshot = board.next("state")
        self.assertNotIn("seq", snapshot)
        code = board.next("qr")
        daemon.secret(code["qr"])
        self.assertEqual(code["attempt"], 1)
        self.assertGreater(code["expiresAt"], code["timestamp"])
        scan = {"qr": code["qr"], "phoneNumber": OWN, "clientName": "Shop"}
        daemon.call("POST", f"/simulator/{device}/scan", scan)
        authenticated = board.next("authenticated")
        self.assertEqual((authenticated["phoneNumber"], authenticated["clientName"]), (OWN, "Shop"))
        self.assertEqual(board.next("ready")["phoneNumber"], OWN)
        ready = board.next("state", lambda state: state["state"] == "ready")
        self.assertEqual(ready["status"], "CONNECTED")

        body = daemon.body("incoming")
        message_id = daemon.incoming(device, body, FRIEND)
        message = board.next("message", lambda event: event["message"]["body"] == body)["message"]
        self.assertEqual(message["id"], message_id)
        self.assertEqual((message["chatId"], message["fromMe"], message["type"]), (f"{FRIEND}@c.us", False, "chat"))

        text = daemon.body("outgoing")
        answer = board.ask("message:send", {"to": FRIEND, "text": text, "tempId": "t1"})
        self.assertIs(answer["success"], True)
        self.assertEqual((answer["status"], answer["tempId"]), ("queued", "t1"))
        mine = lambda event: event["messageId"] == answer["messageId"]
        board.next("message:status", lambda event: mine(event) and event["status"] == "read")
        board.next("message:read", lambda event: answer["messageId"] in event["messageIds"])
        statuses = [event["status"] for event in board.named("message:status") if mine(event)]
        self.assertEqual(statuses, ["queued", "sending", "sent", "delivered", "read"])
        acks = [event for event in board.named("message:ack") if mine(event)]
        self.assertEqual([(ack["ack"], ack["ackName"]) for ack in acks], [(1, "server"), (2, "device"), (3, "read")])
        self.assertEqual(board.named("message-ack"), board.named("message:ack"))
        created = board.next("message:created", lambda event: event["message"]["id"] == answer["messageId"])
        self.assertEqual(created["tempId"], "t1")

        seqs = [payload["seq"] for name, payload in board.all if "seq" in payload and name != "message-ack"]
        self.assertEqual(seqs, list(range(1, len(seqs) + 1)))
        shown = [sent["shown"] for sent in daemon.call("GET", f"/simulator/{device}/network")["sent"]]
        self.assertEqual(shown, [1])

    # covers: resume by auth.since
    def test_resume_replays_missed_events(self):
        daemon = self.daemon
        device = daemon.linked()
        for _ in range(30):
            daemon.incoming(device, daemon.body())
        last = daemon.call("GET", f"/devices/{device}/events?after=0&limit=100")[-1]["seq"]
        board = self.open(device, since=last - 20)
        daemon.incoming(device, daemon.body("live"))
        until(lambda: len(board.named("message")) >= 21, "20 old and a new one")
        seqs = [payload["seq"] for name, payload in board.all if "seq" in payload and name != "message-ack"]
        self.assertEqual(seqs, list(range(last - 19, last - 19 + len(seqs))))

    # covers: connect_error API key is required
    # covers: connect_error Invalid API key
    # covers: connect_error API key not allowed for this device
    # covers: connect_error Invalid namespace
    def test_connect_errors_have_exact_messages(self):
        daemon = self.daemon
        device, other = daemon.device(), daemon.device()
        self.assertEqual("Invalid API key", self.refused(device, key="wrong"))
        self.assertEqual("API key is required", self.refused(device, key=""))
        self.assertEqual("Invalid namespace", self.refused("no-such-device"))
        minted = daemon.call("POST", "/api-keys", {"name": "x", "scopes": ["events:read"], "devices": [other]})
        daemon.secret(minted["key"])
        self.assertEqual("API key not allowed for this device", self.refused(device, key=minted["key"]))
        board = self.open(other, key=minted["key"])
        daemon.call("DELETE", f"/api-keys/{minted['id']}")
        self.assertTrue(board.disconnected.wait(1.5), "revocation cuts")
        self.assertEqual("Invalid API key", self.refused(other, key=minted["key"]))

    # covers: event error
    def test_invalid_requests_are_answered(self):
        device = self.daemon.linked()
        board = self.open(device)
        for name, payload in [
            ("no:such", {}), ("message:send", None), ("message:send", "text"), ("message:send", b"\x00\x01"),
            ("message:send", {"to": b"15550100001", "text": "x"}), ("typing:start", {"chatId": 5}),
        ]:
            answer = board.ask(name, payload)
            self.assertIs(answer["success"], False, f"{name} {payload}")
            self.assertTrue(answer["error"])
            self.assertRegex(answer["code"], "^[a-z0-9_]+$")
        board.client.emit("no:such", {}, namespace=board.namespace)
        error = board.next("error")
        self.assertEqual(error["deviceId"], device)
        self.assertRegex(error["code"], "^[a-z0-9_]+$")

    # covers: event device-deleted
    def test_deletion_removes_namespace(self):
        device = self.daemon.linked()
        board = self.open(device)
        self.daemon.call("DELETE", f"/devices/{device}")
        self.assertEqual(board.next("device-deleted")["deviceId"], device)
        self.assertTrue(board.disconnected.wait(5))
        self.assertEqual("Invalid namespace", self.refused(device))


class WebsocketOnly(Flow, unittest.TestCase):
    transports = ["websocket"]


class PollingOnly(Flow, unittest.TestCase):
    transports = ["polling"]


class PollingUpgraded(Flow, unittest.TestCase):
    transports = ["polling", "websocket"]
    in_headers = True


if __name__ == "__main__":
    unittest.main()
