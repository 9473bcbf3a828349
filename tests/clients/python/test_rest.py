"""REST with the library requests, as an integration uses it: from a new device to messages in both directions."""

import json
import threading
import unittest

import requests
from harness import Daemon, until

FRIEND = "15550100001"
CHAT = f"{FRIEND}@c.us"
DEVICE_FIELDS = {
    "id", "deviceId", "name", "engine", "status", "state", "phoneNumber", "clientName", "lastSeen", "createdAt",
    "stats", "settings",
}


class Rest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.device = cls.daemon.linked()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def fails(self, answer, status, code=None):
        self.assertEqual(answer.status_code, status, answer.text[:300])
        envelope = answer.json()
        self.assertIs(envelope["success"], False)
        self.assertIsInstance(envelope["error"], str)
        self.assertRegex(envelope["code"], "^[a-z0-9_]+$")
        self.assertLessEqual(set(envelope), {"success", "error", "code", "details"})
        if code:
            self.assertEqual(envelope["code"], code)
        return envelope

    def path(self, rest):
        return f"/devices/{self.device}{rest}"

    # covers: POST /devices
    # covers: GET /devices/{id}
    # covers: GET /devices/{id}/status
    # covers: GET /devices/{id}/qr
    # covers: POST /devices/{id}/messages/send
    # covers: GET /devices/{id}/messages/{mid}
    # covers: rest the key as Authorization: Bearer
    def test_quick_start_links_and_sends(self):
        daemon = self.daemon
        headers = {"X-API-KEY": daemon.key}
        api = daemon.url + "/api/v1"
        created = requests.post(f"{api}/devices", headers=headers, json={"name": "Shop"}, timeout=5)
        self.assertEqual(created.status_code, 201)
        device = created.json()["data"]
        self.assertLessEqual(DEVICE_FIELDS, set(device))
        self.assertEqual(device["id"], device["deviceId"])
        self.assertEqual(set(device["stats"]), {"messagesReceived", "messagesSent", "contacts", "groups"})
        shop = f"{api}/devices/{device['id']}"
        until(lambda: requests.get(f"{shop}/status", headers=headers, timeout=5).json()["data"]["state"] == "qr", "qr")
        status = requests.get(f"{shop}/status", headers=headers, timeout=5).json()["data"]
        self.assertEqual(status["status"], "qr")
        daemon.secret(status["qr"])
        self.assertTrue(status["qrDataUrl"].startswith("data:image/"))
        code = requests.get(f"{shop}/qr", headers=headers, timeout=5).json()["data"]
        self.assertEqual(set(code), {"qr", "qrDataUrl", "expiresAt", "attempt"})
        for kind, content_type, begin in [
            ("png", "image/png", b"\x89PNG"), ("svg", "image/svg+xml", b"<"), ("txt", "text/plain", b""),
        ]:
            picture = requests.get(f"{shop}/qr.{kind}", headers=headers, timeout=5)
            self.assertEqual(picture.status_code, 200)
            self.assertTrue(picture.headers["content-type"].startswith(content_type))
            self.assertTrue(picture.content.startswith(begin) and len(picture.content) > 200)
        scan = requests.post(f"{api}/simulator/{device['id']}/scan", headers=headers, timeout=15)
        self.assertEqual(scan.status_code, 200, scan.text)
        until(lambda: requests.get(shop, headers=headers, timeout=5).json()["data"]["status"] == "ready", "ready")
        self.fails(requests.get(f"{shop}/qr", headers=headers, timeout=5), 404, "no_qr")
        text = daemon.body("Hello from Python")
        sent = requests.post(f"{shop}/messages/send", headers=headers, json={"to": FRIEND, "text": text}, timeout=5)
        self.assertEqual(sent.status_code, 201)
        sent = sent.json()["data"]
        self.assertEqual((sent["status"], sent["ack"], sent["chatId"]), ("queued", 0, CHAT))
        message = f"{shop}/messages/{sent['id']}"
        until(lambda: requests.get(message, headers=headers, timeout=5).json()["data"]["ack"] >= 1, "ack 1")
        bearer = {"Authorization": f"Bearer {daemon.key}"}
        self.assertEqual(requests.get(shop, headers=bearer, timeout=5).status_code, 200)

    # covers: rest Idempotency-Key
    # covers: rest 422
    def test_idempotency_key_sends_once(self):
        body = {"to": FRIEND, "text": self.daemon.body("once"), "tempId": "t"}
        send = lambda body: self.daemon.request(
            "POST", self.path("/messages/send"), json=body, headers={"Idempotency-Key": "key-1"}
        )
        first, again = send(body), send(body)
        self.assertEqual(first.status_code, 201)
        self.assertEqual((again.status_code, again.json()), (201, first.json()))
        self.fails(send(body | {"text": "another"}), 422, "idempotency_mismatch")
        until(lambda: [s for s in self.network()["sent"] if s["body"] == body["text"]], "sent")
        self.assertEqual([s["shown"] for s in self.network()["sent"] if s["body"] == body["text"]], [1])

    # covers: rest Idempotency-Key
    def test_concurrent_idempotency_key_sends_once(self):
        body = {"to": FRIEND, "text": self.daemon.body("race")}
        answers = []

        def send():
            headers = {"X-API-KEY": self.daemon.key, "Idempotency-Key": "race-1"}
            url = self.daemon.url + "/api/v1" + self.path("/messages/send")
            answers.append(requests.post(url, json=body, headers=headers, timeout=10))

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({answer.status_code for answer in answers}, {201})
        self.assertEqual(len({answer.json()["data"]["id"] for answer in answers}), 1)

    def network(self):
        return self.daemon.call("GET", f"/simulator/{self.device}/network")

    # covers: GET /devices/{id}/chats/{chatId}/messages
    def test_message_pages_in_both_directions(self):
        sender = "15550100031"
        bodies = [self.daemon.body(f"page {index}") for index in range(25)]
        for body in bodies:
            self.daemon.incoming(self.device, body, sender)
        base = self.path(f"/chats/{sender}@c.us/messages")
        newest = self.daemon.request("GET", f"{base}?limit=10").json()
        self.assertEqual([message["body"] for message in newest["data"]], bodies[15:])
        page = newest["pagination"]
        self.assertEqual((page["total"], page["returned"], page["requestedLimit"], page["hasMore"]), (25, 10, 10, True))
        seen = list(newest["data"])
        while page["cursors"]["older"]:
            url = page["cursors"]["older"]["url"]
            answer = self.daemon.session.get(url if url.startswith("http") else self.daemon.url + url, timeout=5).json()
            seen = answer["data"] + seen
            page = answer["pagination"]
            self.assertTrue(page["referenceFound"])
        self.assertEqual([message["body"] for message in seen], bodies)
        after = self.daemon.request("GET", f"{base}?limit=100&after={seen[4]['id']}").json()
        self.assertEqual([message["body"] for message in after["data"]], bodies[5:])
        encoded = self.daemon.request("GET", base.replace("@", "%40") + "?limit=10").json()
        self.assertEqual([message["id"] for message in encoded["data"]], [message["id"] for message in newest["data"]])

    # covers: GET /devices/{id}/chats
    # covers: POST /devices/{id}/chats/{chatId}/markRead
    # covers: GET /devices/{id}/chats/{chatId}
    # covers: GET /devices/{id}/messages/search
    # covers: GET /devices/{id}/chats/search
    # covers: POST /devices/chats/multi
    # covers: POST /devices/{id}/contacts
    # covers: GET /devices/{id}/contacts
    def test_chats_are_read_and_searched(self):
        sender = "15550100032"
        word = "Kormoran"
        for index in range(3):
            self.daemon.incoming(self.device, self.daemon.body(f"{word} {index}"), sender)
        chats = self.daemon.request("GET", self.path("/chats?filter=unread&limit=100")).json()
        chat = next(chat for chat in chats["data"] if chat["id"] == f"{sender}@c.us")
        self.assertEqual((chat["unreadCount"], chat["isGroup"], chat["chatId"]), (3, False, chat["id"]))
        self.assertIn("pagination", chats)
        self.daemon.call("POST", self.path(f"/chats/{sender}@c.us/markRead"))
        self.assertEqual(self.daemon.call("GET", self.path(f"/chats/{sender}@c.us"))["unreadCount"], 0)
        found = self.daemon.request("GET", self.path(f"/messages/search?query={word.lower()}")).json()
        self.assertEqual((len(found["data"]), found["totalResults"], found["searchScope"]), (3, 3, "all_chats"))
        self.assertEqual(found["query"], word.lower())
        stamps = [message["timestamp"] for message in found["data"]]
        self.assertEqual(stamps, sorted(stamps, reverse=True))
        one = self.daemon.request("GET", self.path(f"/messages/search?query={word}&chatId={CHAT}")).json()
        self.assertEqual((one["totalResults"], one["searchScope"]), (0, "single_chat"))
        chats = self.daemon.request("GET", self.path(f"/chats/search?q={sender}")).json()
        self.assertIs(chats["success"], True)
        self.assertEqual(chats["query"], sender)
        self.assertEqual(chats["results"][0]["id"], f"{sender}@c.us")
        self.assertEqual(chats["results"][0]["type"], "private")
        self.assertLessEqual({"id", "name", "type", "unread", "lastMessage"}, set(chats["results"][0]))
        multi = self.daemon.call("POST", "/devices/chats/multi", {"deviceIds": [self.device]})
        self.assertEqual([entry["deviceId"] for entry in multi], [self.device])
        contacts = self.daemon.call("POST", self.path("/contacts"), {"search": sender})
        self.assertTrue(any(contact["id"] == f"{sender}@c.us" for contact in contacts))
        self.assertEqual(self.daemon.request("GET", self.path(f"/contacts?search={sender}")).status_code, 200)

    # covers: GET /devices/{id}/messages/search
    def test_search_accepts_any_text(self):
        for query in ['"', "AND", "NOT x", "a* OR (", "'; DROP TABLE messages; --", "NEAR(", "-", "%", "日本", "\x00"]:
            answer = self.daemon.request("GET", self.path("/messages/search"), params={"query": query})
            self.assertIn(answer.status_code, (200, 400), query)
        self.fails(self.daemon.request("GET", self.path("/messages/search")), 400)

    # covers: rest text/event-stream with Last-Event-ID
    def test_events_as_a_stream(self):
        headers = {"Accept": "text/event-stream", "X-API-KEY": self.daemon.key, "Last-Event-ID": "3"}
        url = self.daemon.url + "/api/v1" + self.path("/events")
        with requests.get(url, headers=headers, stream=True, timeout=5) as stream:
            self.assertEqual(stream.status_code, 200)
            self.assertTrue(stream.headers["content-type"].startswith("text/event-stream"))
            body = self.daemon.body("streamed")
            self.daemon.incoming(self.device, body)
            ids, last_id, kind = [], None, None
            for line in stream.iter_lines(decode_unicode=True):
                if line.startswith("id:"):
                    last_id = int(line[3:])
                elif line.startswith("event:"):
                    kind = line[6:].strip()
                elif line.startswith("data:"):
                    payload = json.loads(line[5:])
                    self.assertEqual(payload["seq"], last_id)
                    ids.append(last_id)
                    if body in line:
                        self.assertEqual(kind, "message")
                        break
        self.assertEqual(ids, list(range(4, 4 + len(ids))))

    # covers: resume ends with the key
    def test_revoked_key_ends_event_stream(self):
        minted = self.daemon.call("POST", "/api-keys", {"name": "stream", "scopes": ["events:read"]})
        self.daemon.secret(minted["key"])
        headers = {"Accept": "text/event-stream", "X-API-KEY": minted["key"]}
        url = self.daemon.url + "/api/v1" + self.path("/events")
        with requests.get(url, headers=headers, stream=True, timeout=5) as stream:
            self.assertEqual(stream.status_code, 200)
            self.daemon.call("DELETE", f"/api-keys/{minted['id']}")
            try:
                for _ in stream.iter_lines():
                    pass
            except requests.exceptions.ChunkedEncodingError:
                pass
            except requests.exceptions.ConnectionError as error:
                self.fail(f"the stream goes on: {error}")

    # covers: GET /devices
    # covers: POST /api-keys
    # covers: GET /api-keys
    def test_key_scopes_and_devices_are_enforced(self):
        other = self.daemon.device()
        mint = lambda **key: self.daemon.call("POST", "/api-keys", {"name": "k", **key})
        reader = mint(scopes=["devices:read"], devices=[self.device])
        self.daemon.secret(reader["key"])
        get = lambda path, key: requests.get(self.daemon.url + "/api/v1" + path, headers={"X-API-KEY": key}, timeout=5)
        self.assertEqual([d["id"] for d in get("/devices", reader["key"]).json()["data"]], [self.device])
        self.assertEqual(get(f"/devices/{self.device}", reader["key"]).status_code, 200)
        self.fails(get(f"/devices/{other}", reader["key"]), 403)
        self.fails(get(self.path("/chats"), reader["key"]), 403)
        self.fails(get("/api-keys", reader["key"]), 403)
        self.fails(get(f"/simulator/{self.device}/network", reader["key"]), 403)
        self.assertNotIn(reader["key"], get("/api-keys", self.daemon.key).text)
        self.fails(requests.get(self.daemon.url + "/api/v1/devices", timeout=5), 401)
        self.fails(get("/devices", "wrong"), 401)

    # covers: rest 400 names the field
    def test_invalid_requests_name_the_field(self):
        send = self.path("/messages/send")
        for body, field in [
            ({"to": FRIEND}, "text"), ({"text": "x"}, "to"), ({"to": 5, "text": "x"}, "to"),
            ({"to": FRIEND, "text": 5}, "text"), ({"to": FRIEND, "text": "x", "priority": "urgent"}, "priority"),
            ({"to": FRIEND, "text": "x", "sendAt": "soon"}, "sendAt"), ({"to": FRIEND, "text": "x", "tempId": 5}, "tempId"),
            ({"to": FRIEND, "text": "x", "tempId": {}}, "tempId"), ({"to": FRIEND, "text": "x" * 4097}, "text"),
        ]:
            envelope = self.fails(self.daemon.request("POST", send, json=body), 400)
            self.assertIn(field, json.dumps(envelope["details"]), body)
        for path in [
            "/chats?limit=0", "/chats?limit=101", "/chats?limit=x", "/chats?limit=-1", "/chats?filter=odd",
            "/events?after=x", "/events?limit=0",
        ]:
            self.fails(self.daemon.request("GET", self.path(path)), 400)
        for body in [{"id": "a b"}, {"id": ""}, {"id": "x" * 65}, {"id": 5}, {"name": 5}, {"engine": "none"}, {"settings": []}]:
            self.fails(self.daemon.request("POST", "/devices", json=body), 400)
        self.fails(self.daemon.request("POST", "/devices", json={"id": self.device}), 409)
        self.fails(self.daemon.request("GET", "/devices/none"), 404)
        self.fails(self.daemon.request("GET", "/no/such/path"), 404)

    # covers: rest a POST without a body
    def test_legacy_clients_are_accepted(self):
        text = {"Content-Type": "application/json"}
        path = self.path(f"/chats/{CHAT}/markRead")
        self.daemon.incoming(self.device, self.daemon.body())
        self.assertEqual(self.daemon.request("POST", path, headers=text).status_code, 200)
        self.assertEqual(self.daemon.request("POST", path).status_code, 200)
        self.assertEqual(self.daemon.request("GET", self.path("/chats?take=1&skip=0")).json()["pagination"]["returned"], 1)
        self.assertEqual(self.daemon.request("GET", self.path("/chats?page=1&pageSize=1")).status_code, 200)

    # covers: GET /healthz
    # covers: GET /readyz
    # covers: GET /metrics
    # covers: GET /docs
    # covers: GET /docs-json
    def test_probes_and_documents(self):
        for path in ["/healthz", "/readyz", "/metrics", "/docs-json"]:
            self.assertEqual(requests.get(self.daemon.url + path, timeout=5).status_code, 200, path)
        page = requests.get(self.daemon.url + "/docs", timeout=5)
        self.assertEqual(page.status_code, 200)
        self.assertNotRegex(page.text, r'(src|href)="(https?:)?//')
        self.assertEqual(requests.get(self.daemon.url + "/docs-json", timeout=5).json()["openapi"], "3.1.0")
        metrics = requests.get(self.daemon.url + "/metrics", timeout=5).text
        self.assertNotIn(self.daemon.key, metrics)
        self.assertNotRegex(metrics, r"1555\d{7}")

    def test_gzip_request_ids_and_cors(self):
        answer = self.daemon.request("GET", self.path("/events?limit=100"), headers={"Accept-Encoding": "gzip"})
        self.assertEqual(answer.headers.get("content-encoding"), "gzip")
        self.assertTrue(answer.headers.get("x-request-id"))
        allowed = self.daemon.request("GET", "/devices", headers={"Origin": "http://localhost:5173"})
        self.assertEqual(allowed.headers.get("access-control-allow-origin"), "http://localhost:5173")
        foreign = self.daemon.request("GET", "/devices", headers={"Origin": "https://evil.example"})
        self.assertNotIn("access-control-allow-origin", foreign.headers)
        preflight = requests.options(
            self.daemon.url + "/api/v1/devices", timeout=5,
            headers={
                "Origin": "http://localhost:5173", "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "x-api-key,content-type",
            },
        )
        self.assertIn(preflight.status_code, (200, 204))
        self.assertIn("x-api-key", preflight.headers.get("access-control-allow-headers", "").lower())


if __name__ == "__main__":
    unittest.main()
