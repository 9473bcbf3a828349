"""Malformed bytes over raw sockets cause no 5xx and no panic, and the daemon keeps serving."""

import random
import socket
import unittest

from harness import Daemon

SEED = 7


class Malformed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.device = cls.daemon.linked()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def tearDown(self):
        self.assertTrue(self.daemon.alive, "the daemon ended")
        self.assertEqual(self.daemon.call("GET", f"/devices/{self.device}")["state"], "ready")
        self.assertEqual([line for line in self.daemon.log.splitlines() if "panicked" in line], [])

    def talk(self, data, half=False, seconds=3.0):
        """Sends the bytes and returns the answer, until the daemon closes or stays silent."""
        host, port = self.daemon.address.split(":")
        with socket.create_connection((host, int(port)), timeout=seconds) as connection:
            got = b""
            try:
                connection.sendall(data)
                if half:
                    connection.shutdown(socket.SHUT_WR)
                while chunk := connection.recv(65536):
                    got += chunk
                    if b"\r\n\r\n" in got and not half:
                        break
            except (TimeoutError, ConnectionError):
                pass
            return got

    def check(self, got, expected=None):
        """No answer at all, or one below 500 (501 and 503 are documented)."""
        if not got:
            return
        # A build with the feature s3 answers the HTTP/2 preface with frames, because hyper then has HTTP/2.
        if not got.startswith(b"HTTP/1."):
            self.assertEqual(got[3:4], b"\x04", got[:300])
            return
        status = int(got.split(b" ", 2)[1])
        self.assertTrue(status < 500 or status in (501, 503), got[:300])
        if expected:
            self.assertIn(status, expected, got[:300])

    def post(self, body, content_type="application/json", path=None, extra=""):
        path = path or f"/api/v1/devices/{self.device}/messages/send"
        kind = f"Content-Type: {content_type}\r\n" if content_type else ""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self.daemon.address}\r\nX-API-KEY: {self.daemon.key}\r\n"
            f"{kind}{extra}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body

    def test_bodies(self):
        valid = b'{"to":"15550100001","text":"x"}'
        for body in [
            b"{", b"nonsense", b'{"to":', b"[]", b"5", b'"text"', b"null", b"\xff\xfe\xfd", b'{"to":"\xff","text":"x"}',
            b'{"to":"15550100001","text":"\xed\xa0\x80"}', b'{"to":"15550100001","text":"\\ud800"}',
            b'{"to":"1","to":"2","text":"x"}', b"{" * 100_000, b"[" * 100_000, b'{"a":' * 50_000,
            b'{"to":"15550100001","text":1e999}', b'{"sendAt":1e400,"to":"1","text":"x"}', valid + b"garbage",
            b'{"to":"15550100001","text":"x","sendAt":99999999999999999999999}', b"\xef\xbb\xbf" + valid, b" " * 10_000,
        ]:
            with self.subTest(body=body[:40]):
                self.check(self.talk(self.post(body)), (400, 413, 422))

    def test_content_types(self):
        valid = b'{"to":"nobody","text":"x"}'
        for kind in ["text/plain", "application/xml", "multipart/form-data", "application/x-www-form-urlencoded", "\x01", "a" * 5000]:
            with self.subTest(kind=kind[:30]):
                self.check(self.talk(self.post(valid, kind)), (400, 415))
        self.check(self.talk(self.post(valid, None)), (400, 415))
        self.check(self.talk(self.post(b"x", "application/json; charset=utf-16")), (400, 415))

    def test_huge_bodies(self):
        for path in [None, "/api/v1/devices", "/ws/?EIO=4&transport=polling", f"/hooks/{self.device}"]:
            with self.subTest(path=path):
                big = b'{"to":"15550100001","text":"' + b"x" * (8 << 20) + b'"}'
                self.check(self.talk(self.post(big, path=path)), (400, 401, 404, 413))
        head = self.post(b"").replace(b"Content-Length: 0", b"Content-Length: 99999999999")
        self.check(self.talk(head), (400, 413))
        chunked = self.post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        self.check(self.talk(chunked + b"FFFFFFFFFFFFFFFFFF\r\nx"), (400, 413))
        self.check(self.talk(chunked + b"800000\r\n" + b"x" * 0x800000 + b"\r\n0\r\n\r\n"), (400, 413))

    def test_invalid_requests(self):
        host = f"Host: {self.daemon.address}\r\n".encode()
        for data in [
            b"\r\n\r\n", b"GET\r\n\r\n", b"\x00\x01\x02\x03\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /%ff%fe HTTP/1.1\r\n" + host + b"\r\n",
            b"GET /\xff\xfe HTTP/1.1\r\n" + host + b"\r\n", b"GET " + b"/a" * 40_000 + b" HTTP/1.1\r\n" + host + b"\r\n",
            b"GET http://evil.example/ HTTP/1.1\r\n" + host + b"\r\n", b"CONNECT evil.example:443 HTTP/1.1\r\n" + host + b"\r\n",
            b"OPTIONS * HTTP/1.1\r\n" + host + b"\r\n", b"BREW /api/v1/devices HTTP/1.1\r\n" + host + b"\r\n",
            b"GET /healthz HTTP/1.1\r\n" + host + b"Content-Length: -5\r\n\r\n",
            b"POST /api/v1/devices HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
            b"GET /healthz HTTP/1.1\r\n" + host + b"X-API-KEY: \xff\xfe\r\n\r\n",
            b"GET /api/v1/devices HTTP/1.1\r\n" + host + b"X-API-KEY: \xff\xfe\r\n\r\n",
            b"GET /api/v1/devices HTTP/1.1\r\n" + host + b"Authorization: Bearer\r\n\r\n",
            b"GET /api/v1/devices HTTP/1.1\r\n" + host + b"Authorization: Basic Og==\r\n\r\n",
            b"GET /ws/?EIO=4&transport=websocket HTTP/1.1\r\n" + host + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        ]:
            with self.subTest(data=data[:60]):
                self.check(self.talk(data, seconds=1))

    def test_excessive_headers(self):
        start = f"GET /healthz HTTP/1.1\r\nHost: {self.daemon.address}\r\n".encode()
        for flood in [
            b"".join(b"X-%d: y\r\n" % index for index in range(20_000)), b"X-Long: " + b"y" * 2_000_000 + b"\r\n",
            b"Cookie: " + b"a=b; " * 100_000 + b"\r\n",
        ]:
            self.check(self.talk(start + flood + b"\r\n"), (400, 414, 431))

    def test_partial_requests(self):
        whole = self.post(b'{"to":"15550100001","text":"half"}')
        for cut in range(0, len(whole) - 1, 17):
            self.check(self.talk(whole[:cut], half=True, seconds=1))
        sent = self.daemon.call("GET", f"/simulator/{self.device}/network")["sent"]
        self.assertEqual([entry for entry in sent if entry["body"] == "half"], [])

    def test_random_bytes_in_the_query_and_headers(self):
        rng = random.Random(SEED)
        key = self.daemon.key.encode()
        for _ in range(200):
            noise = bytes(rng.choice(range(0x21, 0x100)) for _ in range(rng.randrange(1, 60)))
            noise = noise.replace(b"#", b"")
            paths = [b"/devices", b"/devices/" + noise, b"/devices/%s/chats" % self.device.encode(), b"/" + noise]
            request = b"GET /api/v1%s?%s=%s&limit=%s HTTP/1.1\r\nHost: localhost\r\nX-API-KEY: %s\r\nLast-Event-ID: %s\r\n\r\n"
            data = request % (rng.choice(paths), noise, noise, noise[:4], key, noise)
            self.check(self.talk(data, seconds=1))

    def test_polling_payloads(self):
        session = self.daemon.session
        base = self.daemon.url + "/ws/?EIO=4&transport=polling"
        for payload in [
            b"", b"\x1e", b"4", b"40", b"44", b"9", b"x", b"42[", b'42["message:send"', b"\xff\xfe", b"b!!!!", b"4" * 5_000,
            b"451-[{\"_placeholder\":true,\"num\":0}]", b"4599999999999-[]", b"42/device/x,[]", b"43999999999999999999999[]",
            b"40/device/" + self.device.encode() + b",{", b"40/" + b"\xc3" * 10 + b",", b"1", b"2probe", b"5", b"\x1e".join([b"40"] * 500),
        ]:
            with self.subTest(payload=payload[:30]):
                opened = session.get(base, timeout=3)
                sid = __import__("json").loads(opened.text[1:])["sid"]
                answer = session.post(f"{base}&sid={sid}", data=payload, headers={"Content-Type": "text/plain"}, timeout=3)
                self.assertLess(answer.status_code, 500, payload)


if __name__ == "__main__":
    unittest.main()
