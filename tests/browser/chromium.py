"""A headless Chromium, driven by its own protocol: pages, keys, pictures, complaints."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

WAIT = 120.0
"""Seconds for a page, on a machine that has much else to do."""


class Chromium:
    """A browser that runs; every page is as if in a browser of its own."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self._events: dict[str | None, list[dict[str, Any]]] = {}

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        self._socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads(self._socket.recv(timeout=WAIT))
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self._events.setdefault(answer.get("sessionId"), []).append(answer)

    def events(self, session: str) -> list[dict[str, Any]]:
        self.call("Browser.getVersion")  # what was said before has been read then
        return self._events.get(session, [])

    def page(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)
        session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        return Page(self, session["sessionId"], width=width, height=height, dark=dark)


class Page:
    """A page in a window of some size."""

    def __init__(
        self, browser: Chromium, session: str, *, width: int, height: int, dark: bool
    ) -> None:
        self._browser, self._session = browser, session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **params)

    def go(self, url: str) -> None:
        self.run("window.left = true")
        self.call("Page.navigate", url=url)
        self.until("!window.left && document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """Return the value of an expression."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + WAIT
        while not self._is(condition):
            assert time.monotonic() < deadline, f"{condition} did not come true"
            time.sleep(0.05)

    def _is(self, condition: str) -> bool:
        try:
            return bool(self.run(f"Promise.resolve({condition}).then(Boolean)"))
        except RuntimeError:  # the page went away while it was asked
            return False

    def settled(self) -> None:
        """Wait until the page has caught up with its fields."""
        self.until("!document.querySelector('main[aria-busy=true]')")

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        printable = {"text": key} if len(key) == 1 else {}
        codes = {"Enter": 13, "Escape": 27}
        code = {"windowsVirtualKeyCode": codes[key]} if key in codes else {}
        if key == "Enter":
            printable = {"text": "\r"}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **printable, **code)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, **code)

    def allow_clipboard(self) -> None:
        """Let the page read and write the clipboard, as if its window were in front."""
        target = self.call("Target.getTargetInfo")["targetInfo"]
        self.call(
            "Browser.grantPermissions",
            browserContextId=target["browserContextId"],
            permissions=["clipboardReadWrite", "clipboardSanitizedWrite"],
        )
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)

    def point_and_click(self, selector: str) -> None:
        """Click as a hand does, which a page may do more for than for a script."""
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.run(f"(box => [box.x + box.width / 2, box.y + box.height / 2])({box})")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def click(self, selector: str) -> None:
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def complaints(self) -> list[str]:
        """Return what the console was told, and scripts failed with."""
        found = []
        for event in self._browser.events(self._session):
            params = event["params"]
            match event["method"]:
                case "Runtime.exceptionThrown":
                    found.append(str(params["exceptionDetails"]))
                case "Runtime.consoleAPICalled" if params["type"] in {"error", "warning"}:
                    found.append(str(params["args"]))
                case "Log.entryAdded" if params["entry"]["level"] in {"error", "warning"}:
                    found.append(params["entry"]["text"])
        return found

    def requests(self) -> list[str]:
        """Return the addresses that were asked for anything."""
        return [
            event["params"]["request"]["url"]
            for event in self._browser.events(self._session)
            if event["method"] == "Network.requestWillBeSent"
        ]

    def picture(self, path: Path, *, whole: bool = False) -> None:
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(data["data"]))


@contextmanager
def chromium(program: str, folder: Path) -> Iterator[Chromium]:
    """Run a browser of its own, with a folder for what it keeps."""
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--hide-scrollbars",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "about:blank",
    ]
    with subprocess.Popen(
        [program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            port, path = _address(process, folder)
            with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, proxy=None) as socket:
                yield Chromium(socket)
        finally:
            process.terminate()


def _address(process: subprocess.Popen[bytes], folder: Path) -> tuple[str, str]:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        assert process.poll() is None, "chromium ended at once"
        try:
            port, path = (folder / "DevToolsActivePort").read_text(encoding="ascii").split()
        except (OSError, ValueError):
            time.sleep(0.1)
        else:
            return port, path
    raise AssertionError("chromium does not listen")
