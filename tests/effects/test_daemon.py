"""From a message to its notification and sound, through the real daemon."""

import json
import signal
import time
import unittest

from daemon import Daemon
from desktop import Desktop
from processes import Place, until
from speaker import Speaker, asset, differences
from test_desktop import HOSTILE

ADA, BEN = "15550100001", "15550100002"
NO_SOUND = {"WHARF__EFFECTS__SOUND__ENABLED": "false"}
NO_DESKTOP = {"WHARF__EFFECTS__DESKTOP__ENABLED": "false"}


class DaemonTest(unittest.TestCase):
    def setUp(self):
        self.place = Place("daemon-" + self.id().rsplit(".", 1)[-1])
        self.addCleanup(self.place.close)

    def test_next_message_of_chat_replaces_notification(self):
        desktop = Desktop(self.place)
        daemon = Daemon(self.place, **NO_SOUND)
        before = len(desktop.notifications())
        daemon.incoming(ADA, "Are you there?")
        first = desktop.wait(before + 1)[before]
        self.assertEqual((first["app"], first["title"], first["urgency"]), ("Wharf", "Ada", 1))
        self.assertEqual(first["body"], "Are you there?")
        self.assertEqual(first["replaces"], 0)
        daemon.incoming(BEN, "It is late")
        daemon.incoming(ADA, "Hello?")
        found = desktop.wait(before + 3, 30)[before:]
        ben = next(one for one in found if "Ben" in one["title"])
        again = next(one for one in found[1:] if "Ada" in one["title"])
        self.assertEqual((ben["replaces"], again["replaces"], again["id"]), (0, first["id"], first["id"]))
        desktop.screenshot("daemon-desktop")
        self.assertNotIn("Are you there?", daemon.log)

    def test_hostile_message_is_shown_sanitized(self):
        desktop = Desktop(self.place)
        daemon = Daemon(self.place, **NO_SOUND)
        before = len(desktop.notifications())
        # The limit of the simulated network; test_desktop uses longer text.
        daemon.incoming(ADA, HOSTILE[:60_000])
        one = desktop.wait(before + 1)[before]
        self.assertTrue(one["body"].startswith("&lt;b&gt;bold&lt;/b&gt; &lt;a href="), one["body"][:100])
        self.assertLess(len(one["body"]), 3000)
        for text in (one["title"], one["body"]):
            self.assertFalse([c for c in text if ord(c) < 32 and c != "\n" or c in "\u202e\u202c\u200b\x7f"])
        desktop.screenshot("daemon-hostile")

    def test_notification_button_marks_chat_read(self):
        desktop = Desktop(self.place)
        daemon = Daemon(self.place, **NO_SOUND)
        before = desktop.wait(1)
        self.place.run("dunstctl", "close-all")
        daemon.incoming(ADA, "Are you there?")
        self.assertEqual(desktop.wait(len(before) + 1)[-1]["actions"], ["read", "Mark read", "mute", "Mute an hour"])
        self.assertEqual(daemon.chat(ADA)["unreadCount"], 1)
        desktop.screenshot("daemon-buttons")
        time.sleep(1)
        self.place.run("xdotool", "mousemove", "700", "50", "click", "1")
        until(lambda: daemon.chat(ADA)["unreadCount"] == 0, "the chat is read")

    def test_obsolete_notification_is_dismissed(self):
        desktop = Desktop(self.place)
        daemon = Daemon(self.place, **NO_SOUND)
        closed = lambda one: f"member=NotificationClosed\n   uint32 {one['id']}\n" in desktop.text()
        code = desktop.wait(1)[0]
        self.assertEqual(code["urgency"], 2, code)
        until(lambda: closed(code), "the code that was scanned leaves")
        before = len(desktop.notifications())
        daemon.incoming(ADA, "Are you there?")
        message = desktop.wait(before + 1)[before]
        time.sleep(2)
        self.assertFalse(closed(message), "it is not read")
        daemon.post(f"/devices/demo/chats/{ADA}@c.us/read", {})
        until(lambda: closed(message), "the message that was read leaves")

    def test_command_gets_message_without_daemon_keys(self):
        output = self.place.dir / "output"
        script = self.place.dir / "hook"
        script.write_text(f"#!/bin/sh\n{{ cat; echo; env; printf '%s' \"$1\"; }} >{output}.new; mv {output}.new {output}\n")
        script.chmod(0o755)
        config = f'''
            [effects.command]
            enabled = true
            [[notify.commands]]
            name = "hook"
            run = ["{script}", "$(id) literally"]
            [[notify.rules]]
            name = "hooks"
            match = {{ events = ["message"] }}
            actions = ["command"]
            command = "hook"
        '''
        daemon = Daemon(self.place, config, **NO_SOUND, **NO_DESKTOP)
        daemon.incoming(ADA, "Are `you` $(there)?")
        until(output.exists, "the command has run")
        line, rest = output.read_text().split("\n", 1)
        event = json.loads(line)
        self.assertEqual(event["deviceId"], "demo")
        self.assertEqual(event["notification"]["body"], "Are `you` $(there)?")
        self.assertIn("WHARF_BODY=Are `you` $(there)?", rest)
        self.assertTrue(rest.endswith("$(id) literally"))
        self.assertNotIn(daemon.key, rest)
        self.assertNotIn("WHARF_API_KEY", rest)

    def test_message_plays_its_sound_file(self):
        speaker = Speaker(self.place)
        daemon = Daemon(self.place, **NO_DESKTOP)
        time.sleep(6)  # Waits for the sounds of linking to end.
        recording = speaker.record("daemon-message")
        daemon.incoming(ADA, "Are you there?")
        time.sleep(5)
        self.assertEqual(differences(recording.close(), asset("message")), [])

    def test_message_without_sound_is_silent(self):
        speaker = Speaker(self.place)
        daemon = Daemon(self.place, **NO_DESKTOP, **NO_SOUND)
        recording = speaker.record("daemon-silence")
        daemon.incoming(ADA, "Are you there?")
        time.sleep(3)
        self.assertEqual(differences(recording.close(), asset("message")), ["silence"])

    def test_missing_bus_and_sound_server_are_logged_once(self):
        daemon = Daemon(self.place)
        for text in ["one", "two", "three"]:
            daemon.incoming(ADA, text)
        until(lambda: len(daemon.get("/devices/demo/chats/15550100001@c.us/messages")) >= 3, "the messages are there")
        time.sleep(1)
        log = daemon.log
        self.assertEqual(log.count("there is no session bus"), 1, log)
        self.assertEqual(log.count("no sound server"), 1, log)
        self.assertNotIn(" WARN", log)
        self.assertNotIn("ERROR", log)
        self.assertNotIn("panicked", log)
        doctor = daemon.wharf("doctor", fails=True)
        self.assertIn("off in this session: there is no session bus", doctor)
        self.assertIn("off in this session: no sound server", doctor)
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.process.wait(15), 0)

    def test_actions_can_be_tested(self):
        desktop, speaker = Desktop(self.place), Speaker(self.place)
        daemon = Daemon(self.place)
        before = len(desktop.wait(1))
        self.assertIn("The desktop shows it as number", daemon.wharf("notify", "test", "desktop"))
        self.assertEqual(desktop.wait(before + 1)[-1]["title"], "Wharf")
        time.sleep(6)  # Waits for the sounds of linking to end.
        recording = speaker.record("daemon-tried")
        self.assertIn("The sound call was played", daemon.wharf("notify", "test", "sound", "--sound", "call"))
        self.assertEqual(differences(recording.close(), asset("call")), [])

    def test_message_flood_makes_few_notifications(self):
        desktop = Desktop(self.place)
        Speaker(self.place)
        daemon = Daemon(self.place)
        before, opened = len(desktop.notifications()), daemon.open_files()
        begun = time.monotonic()
        for number in range(60):
            daemon.incoming(ADA if number % 2 else BEN, f"message {number}")
        seconds = time.monotonic() - begun
        time.sleep(3)
        shown = len(desktop.notifications()) - before
        self.assertTrue(2 <= shown <= 6 + 4 * seconds / 10, f"{shown} in {seconds:.0f} s")
        self.assertLess(daemon.open_files() - opened, 60)


if __name__ == "__main__":
    unittest.main()
