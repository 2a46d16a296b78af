"""The web page of a running pawl, in a headless Chromium.

usage: page.py ADDRESS TOKEN_FILE BOOTSTRAP TOPIC DSN
ADDRESS: of its admin port, such as http://127.0.0.1:1234/. Events come in all the time, and nothing is dead-lettered yet. With SCREENSHOT=FILE in the
environment it takes its time, and a picture."""
import json
import os
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from chromium import Chromium  # noqa: E402
from waiting import until  # noqa: E402

ADDRESS, TOKEN_FILE, BOOTSTRAP, TOPIC, DSN = (sys.argv.pop(1) for _ in range(5))
SCREENSHOT = os.environ.get("SCREENSHOT")
with open(TOKEN_FILE, encoding="utf-8") as _file:
    TOKEN = _file.read().strip()
HOSTILE = "<img src=x onerror=\"window.hit=1\"><script>window.hit=2</script>"


def post(path, token=None, **form):
    """The status of the answer."""
    request = urllib.request.Request(ADDRESS + "api/v1/" + path, urllib.parse.urlencode(form).encode(),
                                     {"Authorization": "Bearer " + token} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as e:
        return e.code


def reject(key):
    """An event that its plugin rejects. The first of its key."""
    subprocess.run(["kcat", "-P", "-b", BOOTSTRAP, "-t", TOPIC, "-p", "0", "-K", "|", "-c", "1"], input=f"{key}|1 reject 0\n", text=True, check=True)


def sql(text):
    return subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", DSN, "-c", text], check=True, capture_output=True, text=True).stdout.strip()


class Page(unittest.TestCase):
    """One story, in the order of its tests' names: the page stays open."""

    @classmethod
    def setUpClass(cls):
        cls.page = Chromium()
        cls.addClassCleanup(cls.page.close)
        cls.page.scheme("light")
        cls.page.open(ADDRESS)
        cls.sees("#state", "ready")

    @classmethod
    def text(cls, selector):
        return cls.page.eval(f"[...document.querySelectorAll({json.dumps(selector)})].map((el) => el.textContent).join('\\n')")

    @classmethod
    def sees(cls, selector, *words):
        return until(lambda: f"{words} in {selector}: {cls.text(selector)!r}, said {cls.text('#said')!r}",
                     lambda: all(word in cls.text(selector) for word in words))

    def click(self, selector):
        self.page.eval(f"document.querySelector({json.dumps(selector)}).click()")

    def confirm(self, selector, answer):
        """A button that asks, and is told to go on; what it says in the end."""
        self.click(selector)
        until("the question", lambda: self.page.eval("document.getElementById('ask').open"))
        self.page.eval("document.getElementById('ask-reason').value = 'a test'")
        self.click("#ask-yes")
        self.sees("#said", answer)

    def lag(self):
        return int(self.page.eval("[...document.querySelectorAll('#pipelines tbody')][0].innerText.split('\\n').map("
                                  "(line) => Number(line.split('\\t')[4].replace(/\\D/g, ''))).reduce((a, b) => a + b, 0)"))

    def contrast(self, selector):
        """Of a text on the page's background, as WCAG has it."""
        def light(css):
            parts = [int(n) / 255 for n in css[css.index("(") + 1:-1].split(",")[:3]]
            r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
            return 0.2126 * r + 0.7152 * g + 0.0722 * b

        fore = light(self.page.eval(f"getComputedStyle(document.querySelector({json.dumps(selector)})).color"))
        back = light(self.page.eval("getComputedStyle(document.body).backgroundColor"))
        return (max(fore, back) + 0.05) / (min(fore, back) + 0.05)

    def test_1_what_runs_is_seen(self):
        self.assertEqual(self.text("#pipelines h2"), "main")
        self.sees("#pipelines", f"{TOPIC}[0]", f"{TOPIC}[1]", "running")
        self.sees("#versions", "main")
        self.assertRegex(self.text("#about"), r"pid \d+ · up \d")
        until("a curve", lambda: len(self.page.eval("document.querySelector('.rate polyline').getAttribute('points')").split()) >= 2)
        until("events", lambda: self.page.eval("document.querySelector('.rate b').textContent") not in ("–", "0 /s"))

    def test_2_without_the_token_nothing_is_done(self):
        self.assertEqual(self.text("#may"), "read-only")
        self.assertEqual(self.page.eval("[...document.querySelectorAll('section button:not(#dead-look)')].filter((b) => !b.disabled).length"), 0)
        for what in ("redrive", "pause", "drain", "resume"):
            self.assertEqual(post(what, pipeline="main"), 401)
            self.assertEqual(post(what, "not-the-token-at-all-", pipeline="main"), 401)
        self.assertEqual(post("reload"), 401)
        self.assertEqual(self.page.eval("fetch('api/v1/pause', { method: 'POST', body: new URLSearchParams({ pipeline: 'main' }) }).then((a) => a.status)"), 401)
        self.page.complaints.clear()  # that is one

    def test_3_a_dead_letter_appears_and_its_texts_need_the_token(self):
        self.sees("#dead-note", "None.")
        reject(HOSTILE)
        self.sees("#dead-counts", "test.rejected", "open")
        self.sees("#dead-letters", f"{TOPIC}[0]@", "test.rejected")
        self.assertNotIn("onerror", self.text("#dead-letters"))
        self.assertNotIn("asked for it", self.text("#dead-letters"))

    def test_4_the_token_is_typed_and_a_wrong_one_is_told(self):
        for value, said in (("wrong", "read-only"), (TOKEN, "may decide")):
            self.page.eval(f"document.getElementById('token').focus(), document.getElementById('token').value = {json.dumps(value)}")
            self.page.press("Enter")
            self.sees("#said" if value == "wrong" else "#may", "the token is wrong" if value == "wrong" else said)
            self.sees("#may", said)
        self.assertTrue(all("401" in c for c in self.page.complaints), self.page.complaints)
        self.page.complaints.clear()
        self.assertEqual(self.page.eval("localStorage.length + document.cookie.length"), 0)
        self.assertNotIn(TOKEN, self.page.eval("document.documentElement.outerHTML"))

    def test_5_hostile_text_is_text(self):
        sql(f"UPDATE pawl.outbox SET reason = '{HOSTILE} reason', code = '{HOSTILE}' WHERE kind = 2")
        self.click("#dead-look")
        self.sees("#dead-letters", HOSTILE, HOSTILE + " reason")
        self.sees("#dead-counts", HOSTILE)
        self.assertIsNone(self.page.eval("window.hit"))
        self.assertEqual(self.page.eval("document.querySelectorAll('main img, main script').length"), 0)

    def test_6_pausing_moves_the_lag_and_resuming_takes_it_back(self):
        self.confirm("[aria-label='Pause main']", "main: paused")
        until(lambda: f"a lag, {self.lag()}", lambda: self.lag() > 20)
        until("a lag in the curve", lambda: int(self.page.eval("document.querySelector('.lag b').textContent.replace(/\\D/g, '')")) > 20)
        self.confirm("[aria-label='Resume main']", "main: running")
        until(lambda: f"no lag, {self.lag()}", lambda: self.lag() < 20)
        self.assertIn("admin port, from 127.0.0.1: a test", sql("SELECT string_agg(reason, ' ') FROM pawl.decisions WHERE action = 'pause'"))

    def test_7_a_letter_is_sent_again(self):
        self.confirm(f"[aria-label^='Redrive {TOPIC}[0]@']", "1 of 1 dead letters are on their way")
        until("that it is marked", lambda: sql("SELECT count(*) FROM pawl.outbox WHERE kind = 2 AND resolution = 'redriven'") == "1")
        self.sees("#dead-letters", "1 × before")
        self.page.eval("const s = document.getElementById('dead-state'); s.value = 'redriven'; s.dispatchEvent(new Event('change'))")
        self.sees("#dead-counts", "redriven")
        self.page.eval("s.value = 'open'; s.dispatchEvent(new Event('change'))")
        self.sees("#dead-counts", "open")

    def test_8_a_reload_is_asked_for_and_told(self):
        self.confirm("[aria-label='Reload main']", "main: unchanged")
        self.sees("#reloads", "main", "unchanged")

    def test_9_it_is_for_all_eyes(self):
        if SCREENSHOT:
            self.take_picture()
        for scheme in ("light", "dark"):
            self.page.scheme(scheme)
            for selector in ("h2", ".quiet", "#may", "#state", "th", "figcaption"):
                self.assertGreaterEqual(self.contrast(selector), 4.5, f"{selector}, {scheme}")
        self.page.size(340, 700)
        self.assertLessEqual(self.page.eval("document.documentElement.scrollWidth"), 340)
        self.assertEqual(self.page.eval("[...document.querySelectorAll('input, select')].filter((el) => !el.labels.length).length"), 0)
        self.assertEqual(self.page.eval("[...document.querySelectorAll('svg')].filter((el) => !el.getAttribute('aria-label')).length"), 0)
        self.page.eval("document.activeElement.blur()")
        self.page.press("Tab")
        self.assertNotEqual(self.page.eval("document.activeElement.tagName"), "BODY")
        self.click("#forget")
        self.sees("#may", "read-only")
        self.assertEqual(self.page.eval("sessionStorage.length"), 0)

    def test_z_it_asked_nobody_else_and_complained_of_nothing(self):
        self.assertGreater(len(self.page.requests), 10)
        self.assertEqual([url for url in self.page.requests if not url.startswith(ADDRESS)], [])
        self.assertEqual(self.page.complaints, [])
        self.assertIsNone(self.page.eval("window.hit"))

    def take_picture(self):
        sql("UPDATE pawl.outbox SET reason = 'seq 1 asked for it', code = 'test.rejected', key = 'policy-4711' WHERE kind = 2")
        end = time.monotonic() + 90
        until("minutes to look at", lambda: time.monotonic() > end, timeout=120)
        self.page.eval("document.getElementById('said').hidden = true")
        self.page.size(1200, self.page.eval("document.body.offsetHeight"))
        self.page.screenshot(SCREENSHOT)


if __name__ == "__main__":
    unittest.main(verbosity=2)
