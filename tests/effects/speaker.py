"""A sound server with a recorded null output, and the analysis of recordings."""

import math
import re
import struct
import subprocess
import wave

from processes import OUT, ROOT, until

# Maximum level of a silent recording.
SILENCE = 0.001
RATE = 11025


class Speaker:
    """A private PulseAudio with an output that is recorded."""

    def __init__(self, place):
        self.place = place
        self.start()

    def start(self):
        place = self.place
        place.env["PULSE_SERVER"] = f"unix:{place.dir}/p.sock"
        self.server = place.start(
            "pulse", "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm",
            "-L", f"module-native-protocol-unix auth-anonymous=1 socket={place.dir}/p.sock",
            "-L", "module-null-sink sink_name=ci rate=44100 channels=2",
        )
        until(lambda: "ci" in self._pactl("list", "short", "sinks"), "the sound server answers")

    def _pactl(self, *what):
        answer = subprocess.run(["pactl", *what], env=self.place.env, capture_output=True, text=True, timeout=10)
        return answer.stdout

    def record(self, name):
        """Records to target/effects/NAME.wav until the recording is closed."""
        return Recording(self.place, OUT / f"{name}.wav", self._pactl)


class Recording:
    def __init__(self, place, path, pactl):
        self.path = path
        path.unlink(missing_ok=True)
        before = pactl("list", "short", "source-outputs").count("\n")
        self.process = place.start(
            path.stem + "-parec", "parec", "--latency-msec=20", "-d", "ci.monitor", "--file-format=wav", "--rate=44100",
            "--channels=2", "--format=s16le", str(path),
        )
        until(lambda: pactl("list", "short", "source-outputs").count("\n") > before, "the recording runs")

    def close(self):
        """Ends the recording and returns its sound without surrounding silence."""
        self.process.terminate()
        self.process.wait(5)
        return Sound(self.path)


class Sound:
    """One channel of a file at 11,025 Hz, from the first to the last audible sample."""

    def __init__(self, path):
        mono = OUT / (path.stem + "-mono.wav")
        # The first of two channels, or the only one.
        subprocess.run(["sox", path, "-b", "16", "-r", str(RATE), mono, "remix", "1"], check=True, timeout=20, stderr=subprocess.DEVNULL)
        with wave.open(str(mono)) as file:
            raw = file.readframes(file.getnframes())
        mono.unlink()
        samples = [value / 32768 for (value,) in struct.iter_unpack("<h", raw)]
        audible = [at for at, value in enumerate(samples) if abs(value) > SILENCE * 4]
        self.samples = samples[audible[0] : audible[-1] + 1] if audible else []
        self.seconds = len(self.samples) / RATE
        self.level = math.sqrt(sum(value * value for value in self.samples) / max(1, len(self.samples)))

    @property
    def spectrum(self):
        """Energy per frequency from 200 to 1,600 Hz, summed over pieces of a twentieth of a second."""
        piece = RATE // 20
        pieces = [self.samples[at : at + piece] for at in range(0, len(self.samples), piece)]
        return [sum(share(part, hz) for part in pieces) for hz in range(200, 1601, 20)]


def share(samples, hz):
    """Energy of one frequency in a piece (Goertzel)."""
    turn = 2 * math.cos(2 * math.pi * hz / RATE)
    before, last = 0.0, 0.0
    for value in samples:
        before, last = last, value + turn * last - before
    return math.sqrt(max(0.0, before * before + last * last - turn * before * last))


def asset(name):
    return Sound(ROOT / "assets" / "sounds" / f"{name}.wav")


def differences(recorded, expected):
    """Audible differences between two sounds; empty if there are none."""
    if recorded.level < SILENCE:
        return ["silence"]
    found = []
    if abs(recorded.seconds - expected.seconds) > 0.03:
        found.append(f"lasts {recorded.seconds:.3f} s, not {expected.seconds:.3f} s")
    if not 0.9 < recorded.level / expected.level < 1.1:
        found.append(f"is {recorded.level:.4f} loud, not {expected.level:.4f}")
    one, other = recorded.spectrum, expected.spectrum
    alike = sum(a * b for a, b in zip(one, other)) / math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))
    if alike < 0.98:
        found.append(f"has another spectrum ({alike:.3f} alike)")
    return found
