"""Desktop notifications, read back from the bus and from a display."""

import pathlib
import signal
import time
import unittest

from desktop import Desktop
from processes import Driver, Place, Silent, until

HOSTILE = "<b>bold</b> <a href=\"http://x\">link</a> & \u202eevil\u202c \x1b[2J\x07\u200b" + "\nline" * 50 + "x" * 100_000


class DesktopTest(unittest.TestCase):
    def setUp(self):
        self.place = Place(self.id().rsplit(".", 1)[-1])
        self.addCleanup(self.place.close)
        self.desktop = Desktop(self.place)
        self.driver = Driver(self.place)

    def show(self, tag, title, body, urgency="normal", **more):
        answer = self.driver.ask("show", tag=tag, title=title, body=body, urgency=urgency, **more)
        self.assertIn("done", answer, answer)
        return answer["done"]

    def test_later_notification_of_chat_replaces_earlier(self):
        first = self.show("demo/ada", "Ada", "hello", "normal")
        other = self.show("demo/ben", "Ben", "it is late", "high")
        second = self.show("demo/ada", "Ada (2)", "hello\nagain", "low")
        found = self.desktop.wait(3)
        self.assertEqual([(one["title"], one["body"], one["urgency"]) for one in found],
                         [("Ada", "hello", 1), ("Ben", "it is late", 2), ("Ada (2)", "hello\nagain", 0)])
        self.assertEqual([one["replaces"] for one in found], [0, 0, first["id"]])
        self.assertEqual([one["id"] for one in found], [first["id"], other["id"], second["id"]])
        self.assertTrue(second["replaced"] and not other["replaced"])
        self.assertEqual({one["app"] for one in found}, {"Wharf"})
        self.assertTrue(pathlib.Path(found[0]["icon"]).read_bytes().startswith(b"\x89PNG"))
        self.desktop.screenshot("desktop")

    def test_dismissed_notification_is_closed(self):
        shown = self.show("demo/link", "Scan the code", "now", "high")
        self.assertEqual(self.driver.ask("withdraw", tag="demo/other").get("done"), False)
        self.assertEqual(self.driver.ask("withdraw", tag="demo/link").get("done"), True)
        closed = f"member=NotificationClosed\n   uint32 {shown['id']}\n"
        until(lambda: closed in self.desktop.text(), "the closed signal of the server")
        self.assertEqual(self.driver.ask("withdraw", tag="demo/link").get("done"), False)

    def test_hostile_text_is_sanitized(self):
        self.show("demo/eve", HOSTILE, HOSTILE)
        one = self.desktop.wait(1)[0]
        for text in (one["title"], one["body"]):
            self.assertLess(len(text), 2000)
            self.assertFalse([c for c in text if ord(c) < 32 and c != "\n" or c in "\u202e\u202c\u200b\x7f"], text)
        self.assertNotIn("\n", one["title"])
        self.assertLess(one["body"].count("\n"), 12)
        # dunst renders markup in the body only.
        self.assertIn("&lt;b&gt;bold&lt;/b&gt; &lt;a href=&quot;http://x&quot;&gt;link&lt;/a&gt; &amp; evil", one["body"])
        self.assertTrue(one["title"].startswith("<b>bold</b>"), one["title"])
        self.desktop.screenshot("hostile")

    def test_pressed_button_is_reported(self):
        actions = [["read", "Mark read"], ["mute", "Mute an hour"]]
        self.show("demo/ada", "Ada", "hello", actions=actions)
        self.assertEqual(self.desktop.wait(1)[0]["actions"], ["read", "Mark read", "mute", "Mute an hour"])
        self.driver.begin("answer")
        # The listener needs time to join the bus, and the notification to be displayed.
        self.desktop.screenshot("buttons")
        time.sleep(1)
        self.place.run("xdotool", "mousemove", "700", "50", "click", "1")
        answer = self.driver.answer()
        self.assertEqual(answer["done"], {"tag": "demo/ada", "action": "read"})

    def test_hanging_server_times_out_and_is_not_retried(self):
        self.show("a", "Before", "x")
        self.desktop.server.send_signal(signal.SIGSTOP)
        first = self.driver.ask("show", tag="b", title="Hangs", body="x")
        self.assertEqual(first["error"], "no answer in time")
        self.assertTrue(1900 <= first["ms"] <= 3500, first)
        second = self.driver.ask("show", tag="c", title="Hangs", body="x")
        self.assertIn("does not answer", second["error"])
        self.assertLess(second["ms"], 100)

    def test_restarted_server_is_used(self):
        self.show("a", "Before", "x")
        self.desktop.server.terminate()
        self.desktop.server.wait(5)
        until(lambda: not self.desktop._serves(), "the server is gone")
        gone = self.driver.ask("show", tag="a", title="Gone", body="x")
        self.assertEqual(gone["error"], "no notification server runs on the session bus")
        self.place.start("dunst2", "dunst", "-conf", str(self.place.dir / "dunstrc"))
        until(self.desktop._serves, "the server is back")
        self.assertFalse(self.show("a", "Back", "x")["replaced"])


class NoDesktopTest(unittest.TestCase):
    def setUp(self):
        self.place = Place(self.id().rsplit(".", 1)[-1])
        self.addCleanup(self.place.close)

    def test_missing_bus_is_reported_at_once(self):
        driver = Driver(self.place)
        for _ in range(3):
            answer = driver.ask("show", tag="a", title="A", body="x")
            self.assertIn("there is no session bus", answer["error"])
            self.assertLess(answer["ms"], 300)
        self.assertEqual(driver.log.read_text(), "", "nothing is on standard error")

    def test_silent_bus_times_out(self):
        silent = Silent(self.place.dir / "bus")
        self.addCleanup(silent.close)
        driver = Driver(self.place)
        answer = driver.ask("show", tag="a", title="A", body="x")
        self.assertEqual(answer["error"], "no answer in time")
        self.assertTrue(1900 <= answer["ms"] <= 3500, answer)
        self.assertLess(driver.ask("show", tag="a", title="A", body="x")["ms"], 100)


if __name__ == "__main__":
    unittest.main()
