"""A small client of WebDriver BiDi, the one protocol that Debian's chromium and firefox-esr both speak.

Firefox listens by itself; Chromium does through chromedriver. Only what the atlas's tests need is here: open,
evaluate, click, type, go back, resize, and the requests and complaints of the page.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from websockets.sync.client import connect

PROGRAMS = {"chromium": ("chromium", "chromedriver"), "firefox": ("firefox-esr",)}
START_SECONDS = 60
ANSWER_SECONDS = 30

# pages from file:// are strangers to each other; a driver that lifts this hides what a user's browser forbids
FIREFOX_PREFS = {
    "security.fileuri.strict_origin_policy": True,
    "remote.prefs.recommended": True,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.disabledForTesting": True,
    "browser.aboutwelcome.enabled": False,
    "browser.download.folderList": 2,
    "browser.download.useDownloadDir": True,
    "browser.download.always_ask_before_handling_new_types": False,
    "layout.css.devPixelsPerPx": "1.0",
}
CHROMIUM_ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--enable-precise-memory-info",
    "--js-flags=--expose-gc",
]
KEYS = {
    "ArrowDown": "\ue015", "ArrowUp": "\ue013", "ArrowLeft": "\ue012", "ArrowRight": "\ue014",
    "Enter": "\ue007", "Escape": "\ue00c", "Tab": "\ue004", "Space": " ", "Shift": "\ue008", "End": "\ue010",
}  # fmt: skip


class BrowserError(Exception):
    """The browser refused a command, or a script on the page threw."""


def missing_programs(engine: str) -> list[str]:
    """Names of the programs that `engine` needs and this machine lacks."""
    return [name for name in PROGRAMS[engine] if shutil.which(name) is None]


class Browser:
    """One running browser with one tab. Use as a context manager, or call close."""

    def __init__(self, engine: str, width: int = 1440, height: int = 900, dark: bool = False):
        self.engine, self.dark = engine, dark
        self.folder = Path(tempfile.mkdtemp(prefix="atlas_browser_"))
        self.downloads = self.folder / "downloads"
        self.downloads.mkdir()
        self.events: list[dict] = []
        self._count = 0
        self._log = (self.folder / "log").open("wb")
        self.process: subprocess.Popen | None = None
        self.socket = None
        self._stack = contextlib.ExitStack()
        self._http = ""
        try:
            if engine == "firefox":
                self._start_firefox()
            else:
                self._start_chromium()
            self.context = self.call("browsingContext.create", type="tab")["context"]
            self.call("browsingContext.activate", context=self.context)  # the first tab never gets the focus
            self.call("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
            self.resize(width, height)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    # ---- starting and ending

    def _start_firefox(self):
        profile = self.folder / "profile"
        profile.mkdir()
        prefs = FIREFOX_PREFS | {"browser.download.dir": str(self.downloads)}
        prefs["layout.css.prefers-color-scheme.content-override"] = 0 if self.dark else 1
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in prefs.items()]
        (profile / "user.js").write_text("".join(lines))
        command = ["firefox-esr", "--headless", "--no-remote", "--profile", str(profile)]
        self._run([*command, "--remote-debugging-port=0", "about:blank"])
        address = self._wait_for(rb"WebDriver BiDi listening on (ws://\S+)").decode()
        self.socket = self._connect(f"{address}/session")
        self.call("session.new", capabilities={})

    def _start_chromium(self):
        self._run(["chromedriver", "--port=0"])
        port = self._wait_for(rb"started successfully on port (\d+)").decode()
        preferences = {"download.default_directory": str(self.downloads)}
        options = {
            "binary": shutil.which("chromium"),
            "args": [
                *CHROMIUM_ARGUMENTS,
                f"--user-data-dir={self.folder / 'profile'}",
                f"--blink-settings=preferredColorScheme={0 if self.dark else 1}",
            ],
            "prefs": preferences,
        }
        wanted = {"browserName": "chrome", "webSocketUrl": True, "goog:chromeOptions": options}
        body = json.dumps({"capabilities": {"alwaysMatch": wanted}}).encode()
        self._http = f"http://127.0.0.1:{port}/session"
        request = urllib.request.Request(self._http, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
            session = json.load(answer)["value"]
        self._http += f"/{session['sessionId']}"
        self.socket = self._connect(session["capabilities"]["webSocketUrl"])

    def _connect(self, url: str):
        """A socket that waits for whoever reads: a page may log much while nobody asks."""
        waiting = {"max_size": None, "max_queue": None, "ping_interval": None, "open_timeout": START_SECONDS}
        return self._stack.enter_context(connect(url, **waiting))

    def _run(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log)

    def _wait_for(self, pattern: bytes) -> bytes:
        deadline = time.monotonic() + START_SECONDS
        log = self.folder / "log"
        while time.monotonic() < deadline:
            found = re.search(pattern, log.read_bytes())
            if found:
                return found.group(1)
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise BrowserError(f"{self.engine} did not start:\n{log.read_text(errors='replace')[-2000:]}")

    def close(self) -> None:
        """End the browser that this object started, and remove its profile."""
        if self.socket is not None and self.engine == "firefox":
            with contextlib.suppress(Exception):
                self.call("browser.close")
        with contextlib.suppress(Exception):
            self._stack.close()
        if self._http:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(urllib.request.Request(self._http, method="DELETE"), timeout=10)
        if self.process is not None:
            if self.engine == "chromium":
                self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- the protocol

    def call(self, method: str, /, **params) -> dict:
        """Send one command and return its result; events that arrive meanwhile are kept."""
        self._count += 1
        number = self._count
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            message = json.loads(self.socket.recv(timeout=max(0.01, deadline - time.monotonic())))
            if message.get("id") == number:
                if message["type"] == "error":
                    raise BrowserError(f"{method}: {message['error']}: {message['message']}")
                return message["result"]
            if message.get("type") == "event":
                self.events.append(message)

    def drain(self) -> None:
        """Take in the events that have arrived."""
        self.js("0")

    # ---- what a person does

    def open(self, address: str | Path) -> None:
        """Load an address, a path from file://. Returns when the page has loaded."""
        url = address if isinstance(address, str) else address.as_uri()
        self.call("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def js(self, expression: str, context: str | None = None):
        """Value of a JavaScript expression on the page (a promise is awaited), through JSON."""
        code = f"(async () => JSON.stringify(await ({expression})) ?? 'null')()"
        target = {"context": context or self.context}
        answer = self.call("script.evaluate", expression=code, target=target, awaitPromise=True)
        if answer["type"] == "exception":
            raise BrowserError(f"{expression}: {answer['exceptionDetails']['text']}")
        return json.loads(answer["result"]["value"])

    def wait(self, expression: str, seconds: float = 20.0, context: str | None = None) -> None:
        """Ask for an expression until it is truthy."""
        deadline = time.monotonic() + seconds
        last = None
        while True:
            try:
                if self.js(f"!!({expression})", context):
                    return
            except BrowserError as error:  # the page may be between two documents
                last = error
            if time.monotonic() > deadline:
                raise BrowserError(f"never true within {seconds} s: {expression} ({last or 'false'})")
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        """A real click of the left button in the middle of an element, scrolled into view."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.js(f"{element}.scrollIntoView({{block: 'center', inline: 'center'}})")
        box = self.js(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({element}.getBoundingClientRect())")
        self.click_at(*box)

    def click_at(self, x: float, y: float) -> None:
        """A real click at CSS pixels of the viewport."""
        actions = [
            {"type": "pointerMove", "x": round(x), "y": round(y)},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        source = {"type": "pointer", "id": "mouse", "actions": actions}
        self.call("input.performActions", context=self.context, actions=[source])

    def press(self, *keys: str) -> None:
        """Press and release keys one after the other: names of KEYS, or single characters."""
        actions = []
        for key in keys:
            value = KEYS.get(key, key)
            actions += [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        source = {"type": "key", "id": "keyboard", "actions": actions}
        self.call("input.performActions", context=self.context, actions=[source])

    def type(self, selector: str, text: str) -> None:
        """Focus a field, empty it and type."""
        self.js(f"(e => {{ e.focus(); e.select(); }})(document.querySelector({json.dumps(selector)}))")
        self.press("\ue017")  # Delete
        self.press(*text)

    def back(self, steps: int = -1) -> None:
        """The back button (or forward)."""
        self.call("browsingContext.traverseHistory", context=self.context, delta=steps)

    def resize(self, width: int, height: int) -> None:
        """Size of the viewport in CSS pixels."""
        size = {"width": width, "height": height}
        self.call("browsingContext.setViewport", context=self.context, viewport=size)

    def screenshot(self, path: Path) -> None:
        """PNG of the viewport."""
        answer = self.call("browsingContext.captureScreenshot", context=self.context)
        path.write_bytes(base64.b64decode(answer["data"]))

    # ---- what the page did

    def complaints(self) -> list[str]:
        """Errors and warnings that the page logged since the last call of forget."""
        self.drain()
        logged = [event["params"] for event in self.events if event["method"] == "log.entryAdded"]
        return [entry["text"] or "" for entry in logged if entry["level"] in ("error", "warn")]

    def requests(self) -> list[str]:
        """URLs asked for since the last call of forget, but for those of file:// and blob:."""
        self.drain()
        sent = [event["params"] for event in self.events if event["method"] == "network.beforeRequestSent"]
        urls = [event["request"]["url"] for event in sent]
        return [url for url in urls if not url.startswith(("file:", "blob:", "about:", "data:"))]

    def forget(self) -> None:
        """Forget the events so far."""
        self.drain()
        self.events.clear()
