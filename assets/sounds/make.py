#!/usr/bin/env python3
"""Makes the sounds of this directory and the icon beside it. The same bytes on every machine: whole-number phases,
and nothing random. python3 assets/sounds/make.py"""

import math
import struct
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
RATE = 22050

# Notes of each sound: begins at (ms), lasts (ms), Hz, loudness. Each has a shape of its own, to be told by ear:
# message rises, call repeats, system is one low bell, error falls.
SOUNDS = {
    "message": [(0, 160, 880, 0.5), (110, 300, 1320, 0.5)],
    "call": [(at, 150, hz, 0.55) for at, hz in
             [(0, 660), (140, 880), (280, 660), (420, 880), (800, 660), (940, 880), (1080, 660)]],
    "system": [(0, 450, 520, 0.5), (0, 450, 1040, 0.12)],
    "error": [(0, 220, 392, 0.6), (200, 380, 262, 0.6)],
}


def note(frames, at, ms, hz, loudness):
    first, count = RATE * at // 1000, RATE * ms // 1000
    attack = RATE * 6 // 1000
    for n in range(count):
        rise = min(1.0, n / attack)
        fall = (1.0 - n / count) ** 2
        frames[first + n] += loudness * rise * fall * math.sin(2 * math.pi * hz * n / RATE)


def wav(notes):
    frames = [0.0] * (RATE * max(at + ms for at, ms, _, _ in notes) // 1000 + 1)
    for one in notes:
        note(frames, *one)
    data = b"".join(struct.pack("<h", round(max(-1.0, min(1.0, frame)) * 32000)) for frame in frames)
    format_ = struct.pack("<HHIIHH", 1, 1, RATE, RATE * 2, 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(format_)) + format_ + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pixel(x, y):
    """A landing stage in the evening: sky, two piles and a deck, and waves."""
    corner = min(x, 127 - x), min(y, 127 - y)
    if corner[0] < 20 and corner[1] < 20 and (20 - corner[0]) ** 2 + (20 - corner[1]) ** 2 > 400:
        return (0, 0, 0, 0)
    if 50 <= y < 64 and 14 <= x < 114:
        return (250, 250, 245, 255)
    if 34 <= y < 96 and (28 <= x < 40 or 88 <= x < 100):
        return (250, 250, 245, 255)
    for line in (88, 104):
        if abs(y - line - 4 * math.sin(x / 8)) < 3.2:
            return (120, 205, 225, 255)
    return (18, 78, 112, 255)


def png():
    rows = b"".join(b"\0" + bytes(part for x in range(128) for part in pixel(x, y)) for y in range(128))

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 128, 128, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


for name, notes in SOUNDS.items():
    (HERE / f"{name}.wav").write_bytes(wav(notes))
(HERE.parent / "icons").mkdir(exist_ok=True)
(HERE.parent / "icons" / "wharf.png").write_bytes(png())
