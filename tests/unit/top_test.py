"""pawl top on a terminal of its own, in front of a supervisor that says what the test wants. argv: the binary."""
import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest
import fcntl

PAWL = sys.argv[1]
PATIENCE = 60
ESCAPE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


def status(n):
    """The nth answer: 100 events more than the one before."""
    limits = [1000, 10000, 100000]
    pipeline = {
        "name": "underwriting", "plugin": {"id": "org.example.underwriting", "version": "1.4.0"}, "tripped": None,
        "reload": {"step": None, "to": None}, "dead_letters_open": 3, "outbox_waiting": 7,
        "latency": {"limits_us": limits, "counts": [100 * n, 0, 0, 0]},
        "workers": [{"slot": 0, "pid": 4711, "state": "running", "cpu_ms": 10 * n, "memory_bytes": 52428800, "uptime_ms": 61000,
                     "restarts": 2, "plugin": "org.example.underwriting/1.4.0", "text": None}],
        "partitions": [{"topic": "auto.events", "partition": p, "worker": 0, "state": "running", "next_offset": 50 * n,
                        "end_offset": 50 * n + 5, "lag": 5 + p, "oldest_age_ms": 1500, "unpublished": 7, "parked": 0, "reason": None}
                       for p in range(40)],
        "counters": {"events_ok": 100 * n, "events_rejected": n}}
    return {"version": "0.1.0", "pid": 1, "uptime_ms": 3600000, "topology": "t.yaml", "ready": True, "draining": False, "reasons": [],
            "pipelines": [pipeline]}


class Supervisor:
    """Answers on control.sock until it is closed."""

    def __init__(self, folder):
        self.asked, self.path = 0, folder + "/control.sock"
        self.open()

    def open(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(8)
        self.thread = threading.Thread(target=self.serve, args=(self.socket,), daemon=True)
        self.thread.start()

    def serve(self, listening):
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):  # whoever asked may have been killed
                if client.recv(100) == b"status json\n":
                    self.asked += 1
                    client.sendall(json.dumps(status(self.asked)).encode() + b"\n")

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()
        os.unlink(self.path)


class Terminal:
    """A session of its own: a process that stands for the shell, and below it pawl top in the foreground."""

    def __init__(self, *args, rows=24, columns=120):
        report, told = os.pipe()
        self.shell, self.fd = pty.fork()
        if self.shell == 0:
            os.close(report)
            try:
                self.be_the_shell(told, [PAWL, "top", *args], rows, columns)
            finally:
                os._exit(1)
        os.close(told)
        self.report, self.said, self.seen = report, b"", b""
        self.pid = int(self.wait_report("pid"))
        self.before = self.wait_report("before")

    @staticmethod
    def be_the_shell(told, argv, rows, columns):
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        settings = termios.tcgetattr(0)
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            os.tcsetpgrp(0, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            os.environ["TERM"] = "xterm"
            os.execv(argv[0], argv)
        os.write(told, ("pid %d\nbefore %r\n" % (child, settings[:4])).encode())
        while True:
            _, end = os.waitpid(child, os.WUNTRACED)
            now = "%r" % (termios.tcgetattr(0)[:4],)
            if os.WIFSTOPPED(end):
                os.write(told, ("stopped %s\n" % now).encode())
                continue
            os.write(told, ("ended %d %s\n" % (-os.WTERMSIG(end) if os.WIFSIGNALED(end) else os.WEXITSTATUS(end), now)).encode())
            signal.pause()  # it keeps the terminal until it is killed

    def take(self, until, what):
        """Reads what is shown, and what the shell reports, until it is so."""
        end = time.monotonic() + PATIENCE
        while not until():
            ready, _, _ = select.select([self.fd, self.report], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise AssertionError("waited in vain for %s; shown: %r; told: %r" % (what, self.seen[-3000:], self.said))
            if self.report in ready:
                self.said += os.read(self.report, 4096)
            if self.fd in ready:
                self.seen += os.read(self.fd, 65536)

    def wait_report(self, word):
        found = []

        def there():
            for line in self.said.decode().splitlines(keepends=True):
                if line.startswith(word + " ") and line.endswith("\n"):
                    found.append(line[len(word) + 1:-1])
                    self.said = self.said.replace(line.encode(), b"", 1)
                    return True
            return False

        self.take(there, word)
        return found[0]

    def frame(self):
        """The lines of the last whole frame."""
        frames = self.seen.split(b"\x1b[H")
        whole = [f for f in frames[1:] if f.endswith(b"\x1b[J") or b"\x1b[J" in f]
        return ESCAPE.sub(b"", whole[-1].split(b"\x1b[J")[0]).decode().split("\r\n") if whole else []

    def wait_frame(self, test, what):
        self.take(lambda: self.frame() and test(self.frame()), what)
        return self.frame()

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def wait_end(self):
        code, settings = self.wait_report("ended").split(" ", 1)
        return int(code), settings

    def close(self):
        for pid, sig in ((self.pid, signal.SIGKILL), (self.shell, signal.SIGKILL)):
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass
        os.close(self.fd)
        os.close(self.report)
        os.waitpid(self.shell, 0)


class Top(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pawl-top-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.supervisor = Supervisor(self.folder)

    def top(self, **size):
        terminal = Terminal("--run-dir", self.folder, "--interval", "0.1", **size)
        self.addCleanup(terminal.close)
        return terminal

    def assert_restored(self, terminal, settings):
        self.assertEqual(settings, terminal.before)
        left = terminal.seen.rindex(b"\x1b[?1049l")
        self.assertGreater(left, terminal.seen.rindex(b"\x1b[?1049h"))
        self.assertGreater(terminal.seen.rindex(b"\x1b[?25h"), terminal.seen.rindex(b"\x1b[?25l"))
        self.assertNotIn(b"\x1b[H", terminal.seen[left:], "nothing is painted over the shell")

    def test_q_ends_it_and_the_terminal_is_as_it_was(self):
        terminal = self.top()
        frame = terminal.wait_frame(lambda f: "underwriting" in f[3] and " - " not in f[3][:60], "rates")
        self.assertIn("pawl 0.1.0  ready  pid 1", frame[0])
        self.assertRegex(frame[2], r"^PIPELINE +STATE +EVENTS/S +LAG +OLDEST")
        self.assertRegex(frame[3], r"underwriting +running +\d+ +980 +1\.5s +0\.99 +950us")
        self.assertEqual(len(frame), 5)
        terminal.type("q")
        code, settings = terminal.wait_end()
        self.assertEqual(code, 0)
        self.assert_restored(terminal, settings)

    def test_keys(self):
        terminal = self.top(rows=12)
        terminal.type("\t")
        frame = terminal.wait_frame(lambda f: "[partitions]" in f[0], "the view of partitions")
        self.assertEqual(len(frame), 12)
        self.assertIn("auto.events[0]", frame[3])
        terminal.type("\x1b[B" * 10)
        terminal.wait_frame(lambda f: "auto.events[10]" in f[10] and "auto.events[3]" in f[3], "the list to scroll")
        terminal.type("\x1b[A" * 20)
        terminal.wait_frame(lambda f: "auto.events[0]" in f[3], "the list to scroll back")
        terminal.type("sssss")  # partition, pipeline, state, events, lag
        terminal.wait_frame(lambda f: "LAGv" in f[2] and "auto.events[39]" in f[3], "the order by lag")
        terminal.type("r")
        terminal.wait_frame(lambda f: "LAG^" in f[2] and "auto.events[0]" in f[3], "the other way round")
        terminal.type("3")
        terminal.wait_frame(lambda f: "[workers]" in f[0] and re.search(r"underwriting/0 +running +4711 +\d+ +50.0M", f[3]), "workers")
        terminal.type("p")
        terminal.wait_frame(lambda f: f[0].rstrip().endswith("paused"), "the pause")
        asked, painted = self.supervisor.asked, terminal.seen.count(b"\x1b[H")
        terminal.take(lambda: terminal.seen.count(b"\x1b[H") >= painted + 3, "three frames")
        self.assertEqual(self.supervisor.asked, asked, "a picture that is held asks nobody")
        terminal.type("p")
        terminal.take(lambda: self.supervisor.asked > asked, "another look")

    def test_a_window_that_changes_its_size(self):
        terminal = self.top(rows=30, columns=200)
        terminal.wait_frame(lambda f: "RELOAD" in f[2], "all columns")
        for rows, columns in ((24, 80), (10, 40), (5, 12), (3, 5), (1, 1), (40, 120)):
            terminal.resize(rows, columns)
            terminal.wait_frame(lambda f: len(f) <= rows and all(len(line) <= columns for line in f) and
                                (rows < 40 or len(f[0]) == 120), "a frame of %d x %d" % (columns, rows))

    def test_a_signal_ends_it_and_the_terminal_is_as_it_was(self):
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGSEGV, signal.SIGABRT):
            with self.subTest(sig=sig):
                terminal = self.top()
                terminal.wait_frame(lambda f: "underwriting" in f[3], "a frame")
                os.kill(terminal.pid, sig)
                code, settings = terminal.wait_end()
                self.assertEqual(code, -sig)
                self.assert_restored(terminal, settings)

    def test_it_stands_still_and_goes_on(self):
        terminal = self.top()
        terminal.wait_frame(lambda f: "underwriting" in f[3], "a frame")
        terminal.type("\x1a")  # Ctrl-Z
        settings = terminal.wait_report("stopped")
        terminal.take(lambda: b"\x1b[?1049l" in terminal.seen, "the screen of the shell")
        self.assert_restored(terminal, settings)
        terminal.seen = b""
        os.kill(terminal.pid, signal.SIGCONT)
        terminal.take(lambda: b"\x1b[?1049h" in terminal.seen and b"\x1b[J" in terminal.seen, "the picture again")
        terminal.type("q")
        code, settings = terminal.wait_end()
        self.assertEqual(code, 0)
        self.assert_restored(terminal, settings)

    def test_a_supervisor_that_goes_away_and_comes_back(self):
        terminal = self.top()
        terminal.wait_frame(lambda f: "underwriting" in f[3], "a frame")
        self.supervisor.close()
        frame = terminal.wait_frame(lambda f: "nothing runs here" in f[1], "the trouble")
        self.assertIn("underwriting", frame[3], "the last that was known stays")
        self.supervisor.open()
        terminal.wait_frame(lambda f: not f[1].strip(), "the end of the trouble")

    def test_without_a_terminal_it_prints_once(self):
        done = subprocess.run([PAWL, "top", "--run-dir", self.folder, "--interval", "0.1"], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("\x1b", done.stdout)
        self.assertEqual(self.supervisor.asked, 2)
        self.assertRegex(done.stdout, r"(?m)^underwriting +running +\d+ +980 ")
        self.assertRegex(done.stdout, r"(?m)^auto.events\[39\] ")
        self.assertRegex(done.stdout, r"(?m)^underwriting/0 +running +4711 ")

    def test_without_a_supervisor_it_says_so(self):
        self.supervisor.close()
        done = subprocess.run([PAWL, "top", "--run-dir", self.folder], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing runs here", done.stderr)
        self.supervisor.open()
        done = subprocess.run([PAWL, "top", "--run-dir", self.folder, "--interval", "0"], capture_output=True, text=True,
                              timeout=PATIENCE)
        self.assertEqual(done.returncode, 64)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
