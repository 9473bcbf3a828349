"""A virtual display with a notification server on a private, monitored bus."""

import os
import re
import subprocess

from processes import OUT, until

SERVER = "org.freedesktop.Notifications"
HEAD = re.compile(r"^(method call|method return|signal|error) time=.*$", re.M)
NOTIFY = re.compile(
    r'\A   string "(?P<app>.*?)"\n   uint32 (?P<replaces>\d+)\n   string "(?P<icon>.*?)"\n'
    r'   string "(?P<title>.*?)"\n   string "(?P<body>.*?)"\n'
    r"   array \[\n(?P<actions>.*?)   \]\n   array \[\n(?P<hints>.*?)   \]\n   int32 ",
    re.S,
)
DUNSTRC = """
[global]
    monitor = 0
    width = (300, 500)
    height = (0, 300)
    origin = top-right
    offset = 20x20
    notification_limit = 5
    font = DejaVu Sans 11
    markup = full
    format = "<b>%s</b>\\n%b"
    icon_position = left
    min_icon_size = 32
    max_icon_size = 64
    mouse_left_click = do_action
    dmenu = /usr/bin/head -n 1
[urgency_low]
    background = "#205020"
    foreground = "#ffffff"
    timeout = 60
[urgency_normal]
    background = "#202060"
    foreground = "#ffffff"
    timeout = 60
[urgency_critical]
    background = "#802020"
    foreground = "#ffffff"
    timeout = 60
"""


# A bus without service activation.
BUS = """
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=%s</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


class Desktop:
    """Xvfb, a bus, dunst and dbus-monitor in a test directory."""

    def __init__(self, place):
        self.place = place
        self._display()
        self._bus()
        config = place.dir / "dunstrc"
        config.write_text(DUNSTRC)
        self.server = place.start("dunst", "dunst", "-conf", str(config))
        until(self._serves, "the notification server is on the bus")
        self.log = OUT / f"{place.name}-bus.log"
        rule = f"interface='{SERVER}'"
        replies = "type='method_return'"
        place.start("bus", "dbus-monitor", "--session", rule, replies)
        until(lambda: "NameAcquired" in self.text(), "the bus is listened to")

    def _display(self):
        read, write = os.pipe()
        screen = ["-screen", "0", "800x600x24", "-nolisten", "tcp"]
        self.place.start("xvfb", "Xvfb", "-displayfd", str(write), *screen, pass_fds=[write])
        os.close(write)
        with os.fdopen(read) as number:
            self.place.env["DISPLAY"] = ":" + number.readline().strip()
        assert self.place.env["DISPLAY"] != ":", "Xvfb did not start"

    def _bus(self):
        socket, config = self.place.dir / "bus.sock", self.place.dir / "bus.conf"
        config.write_text(BUS % socket)
        self.place.start("dbus", "dbus-daemon", "--nofork", f"--config-file={config}")
        until(socket.exists, "the bus is there")
        self.place.env["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={socket}"

    def _serves(self):
        ask = ["dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner"]
        answer = subprocess.run([*ask, f"string:{SERVER}"], env=self.place.env, capture_output=True, text=True, timeout=5)
        return "boolean true" in answer.stdout

    def text(self):
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def notifications(self):
        """The calls to the server in order, as read from the bus."""
        text = self.text()
        heads = list(HEAD.finditer(text))
        found = []
        for index, head in enumerate(heads):
            end = heads[index + 1].start() if index + 1 < len(heads) else len(text)
            notify = "member=Notify" in head[0] and NOTIFY.match(text[head.end() + 1 : end])
            if notify:
                one = notify.groupdict()
                one["replaces"] = int(one["replaces"])
                one["actions"] = re.findall(r'string "(.*?)"', one["actions"])
                urgency = re.search(r'string "urgency"\s+variant\s+byte (\d)', one["hints"])
                one["urgency"] = urgency and int(urgency[1])
                one["id"] = self._answered(text[end:], head[0])
                found.append(one)
        return found

    @staticmethod
    def _answered(text, call):
        sender, serial = re.search(r"sender=(\S+)", call)[1], re.search(r" serial=(\d+)", call)[1]
        answer = re.search(
            rf"^method return .*destination={re.escape(sender)} .*reply_serial={serial}\n   uint32 (\d+)", text, re.M
        )
        return answer and int(answer[1])

    def wait(self, count, seconds=15):
        """Waits until the server has answered this many calls."""
        def there():
            found = self.notifications()
            return len(found) >= count and all(one["id"] for one in found) and found
        return until(there, f"{count} notifications", seconds)

    def screenshot(self, name):
        """Saves a screenshot; returns the number of pixels other than background."""
        path = OUT / f"{name}.png"
        until(lambda: self._lit() > 2000, "something is on the display")
        self.place.run("import", "-window", "root", str(path))
        return path

    def _lit(self):
        shown = self.place.run("sh", "-c", "import -window root -format '%[fx:int(mean*w*h)]' info:-")
        return int(float(shown))
