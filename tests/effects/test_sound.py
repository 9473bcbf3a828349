"""Sounds, recorded from a sound server and compared with their files."""

import signal
import shutil
import time
import unittest

from processes import ROOT, Driver, Place, Silent
from speaker import Speaker, asset, differences

NAMES = ["message", "call", "system", "error"]


class SoundTest(unittest.TestCase):
    def setUp(self):
        self.place = Place(self.id().rsplit(".", 1)[-1])
        self.addCleanup(self.place.close)

    def test_played_sounds_equal_their_files(self):
        speaker, driver = Speaker(self.place), Driver(self.place)
        recorded = {}
        for name in NAMES:
            recording = speaker.record(f"recorded-{name}")
            answer = driver.ask("play", name=name)
            self.assertIn("done", answer, answer)
            time.sleep(0.3)
            recorded[name] = recording.close()
            self.assertEqual(differences(recorded[name], asset(name)), [], name)
        # Proves that the comparison can fail: all sounds differ.
        for name in NAMES:
            for other in set(NAMES) - {name}:
                self.assertNotEqual(differences(recorded[name], asset(other)), [], f"{name} and {other}")

    def test_server_without_authentication_needs_no_cookie(self):
        speaker = Speaker(self.place)
        home = self.place.dir / "home"
        home.mkdir()
        self.place.env["HOME"] = str(home)
        short = home / "short"
        short.write_bytes(b"no cookie")
        for name, more in [("message", {}), ("call", {"PULSE_COOKIE": str(short)}), ("system", {"XDG_CONFIG_HOME": str(home)})]:
            self.place.env.update(more)
            driver = Driver(self.place)
            self.assertEqual(driver.ask("probe")["done"]["sound"], "On", more)
            recording = speaker.record(f"no-cookie-{name}")
            self.assertIn("done", driver.ask("play", name=name), more)
            self.assertEqual(differences(recording.close(), asset(name)), [], more)

    def test_silence_is_detected(self):
        speaker = Speaker(self.place)
        recording = speaker.record("silence")
        time.sleep(1)
        self.assertEqual(differences(recording.close(), asset("message")), ["silence"])

    def test_sounds_mix_and_repeats_wait_for_cooldown(self):
        speaker, one, other = Speaker(self.place), Driver(self.place), Driver(self.place)
        recording = speaker.record("together")
        one.begin("play", name="call")
        other.begin("play", name="system")
        answers = one.answer(), other.answer()
        self.assertTrue(all("done" in answer for answer in answers), answers)
        recorded = recording.close()
        self.assertTrue(1.1 < recorded.seconds < 1.9, recorded.seconds)
        again = one.ask("play", name="system")
        self.assertTrue("done" in again and 445 <= again["done"]["ms"] <= 455, again)
        self.assertIn("done", one.ask("play", name="message"))

    def test_user_sounds_play_in_every_format(self):
        speaker = Speaker(self.place)
        mine = self.place.dir / "sounds"
        mine.mkdir()
        for kind in ["wav", "ogg", "flac", "mp3"]:
            file = mine / f"mine-{kind}.{kind}"
            self.place.run("sox", "-n", "-r", "48000", "-c", "2", str(file), "synth", "0.5", "sine", "700", "vol", "0.4")
        (mine / "broken.wav").write_bytes(b"RIFF no sound")
        shutil.copy(ROOT / "assets/sounds/error.wav", mine / "message.wav")
        driver = Driver(self.place)
        for kind in ["wav", "ogg", "flac", "mp3"]:
            recording = speaker.record(f"mine-{kind}")
            self.assertIn("done", driver.ask("play", name=f"mine-{kind}"))
            recorded = recording.close()
            self.assertTrue(0.45 < recorded.seconds < 0.62, f"{kind}: {recorded.seconds}")
            self.assertEqual(max(range(71), key=recorded.spectrum.__getitem__), (700 - 200) // 20, kind)
        recording = speaker.record("replaced")
        self.assertIn("done", driver.ask("play", name="message"))
        self.assertEqual(differences(recording.close(), asset("error")), [])
        self.assertIn("cannot be played", driver.ask("play", name="broken")["error"])

    def test_missing_server_is_logged_once_and_used_later(self):
        self.place.env["PULSE_SERVER"] = f"unix:{self.place.dir}/p.sock"
        driver = Driver(self.place)
        for name in ["message", "call"]:
            answer = driver.ask("play", name=name)
            self.assertIn("no sound server", answer["error"])
            self.assertLess(answer["ms"], 500)
        speaker = Speaker(self.place)
        recording = speaker.record("appeared")
        self.assertIn("done", driver.ask("play", name="system"))
        self.assertEqual(differences(recording.close(), asset("system")), [])
        self.assertEqual(driver.log.read_text(), "", "nothing is on standard error")

    def test_hanging_server_times_out_and_is_not_retried(self):
        speaker, driver = Speaker(self.place), Driver(self.place)
        speaker.server.send_signal(signal.SIGSTOP)
        first = driver.ask("play", name="message")
        self.assertEqual(first["error"], "no answer in time")
        self.assertLess(first["ms"], 5000)
        second = driver.ask("play", name="call")
        self.assertIn("does not answer", second["error"])
        self.assertLess(second["ms"], 100)

    def test_silent_server_times_out(self):
        silent = Silent(self.place.dir / "p.sock")
        self.addCleanup(silent.close)
        self.place.env["PULSE_SERVER"] = f"unix:{self.place.dir}/p.sock"
        driver = Driver(self.place)
        answer = driver.ask("play", name="message")
        self.assertEqual(answer["error"], "no answer in time")
        self.assertLess(answer["ms"], 5000)
        self.assertIn("does not answer", driver.ask("play", name="call")["error"])

    def test_unknown_output_error_lists_outputs(self):
        self.place.env["DEVICE"] = "kitchen"
        Speaker(self.place)
        driver = Driver(self.place)
        self.assertIn('has no output \\"kitchen\\"; it has: ci', driver.ask("probe")["done"]["sound"])
        self.assertIn("does not have this output", driver.ask("play", name="message")["error"])


if __name__ == "__main__":
    unittest.main()
