"""Opens reports in headless Chromium, as a reader would: console, figures, widths, sorting, enlarging.

usage: browser.py --tarn PROGRAM [--keep FOLDER]    runs two tiny experiments, opens their pages and the comparison
       browser.py --page FILE... [--shots FOLDER]   opens given pages; screenshots at phone and desktop width

Exit code 77, for ctest a skip, where no Chromium is installed. Standard library only: Chromium is spoken to through a pipe
(--remote-debugging-pipe), so that no port is opened.
"""

import argparse
import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

WIDTHS = {"phone": (390, 844, 2.0), "desktop": (1280, 900, 1.0)}

TINY = """
[run]
name = "{name}"
seed = 5
[data]
kind = "gaussian_mixture"
means = [[-1.0], [1.0]]
std = 0.5
epoch_size = 1280
[model]
neurons = {neurons}
[training]
epochs = 15
batch_size = 64
[training.noise]
levels = 3
[sampling]
schedule = "last_level"
chains = 100
steps = 600
burn_in = 10
thin = 30
dt = 0.01
"""

# What a reader would trip over. Returns a list of complaints.
LOOK = """(() => {
  const bad = [];
  const page = document.documentElement;
  if (page.dataset.script !== "done") bad.push("the page's script did not run");
  if (page.scrollWidth > window.innerWidth) bad.push(`wider than the window: ${page.scrollWidth} > ${window.innerWidth}`);
  if (document.querySelector(".missing")) bad.push(document.querySelector(".missing").textContent);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  if (new Set(ids).size !== ids.length) bad.push("an id stands twice");
  for (const a of document.querySelectorAll("nav a"))
    if (!document.querySelector(a.getAttribute("href"))) bad.push("no target for " + a.textContent);
  const figures = [...document.querySelectorAll("figure .frame")];
  for (const frame of figures) {
    const picture = frame.querySelector("svg, img");
    if (!picture) { bad.push("a frame without a picture"); continue; }
    const box = picture.getBoundingClientRect();
    if (box.width < 100 || box.height < 60) bad.push(`a figure of ${box.width} x ${box.height}`);
    if (picture.tagName === "IMG" && !(picture.complete && picture.naturalWidth > 0)) bad.push("an image did not load");
    if (picture.tagName === "svg" && picture.querySelectorAll("path").length < 3) bad.push("a drawing without paths");
  }
  return JSON.stringify({bad, figures: figures.length, tables: document.querySelectorAll("table").length,
                         title: document.title});
})()"""

# Sorts every table by every column, up and down, and compares with what the cells say.
SORT = """(() => {
  const bad = [];
  const number = (cell) => { const m = /^[-+]?[0-9.]+(e[-+]?[0-9]+)?$/.exec(cell.textContent.trim()); return m ? +m[0] : null; };
  for (const table of document.querySelectorAll(".table table")) {
    const rows = table.tBodies[0].rows.length;
    for (const head of table.tHead ? table.tHead.rows[0].cells : []) {
      const button = head.querySelector("button");
      if (!button) { if (rows > 1) bad.push("no button in " + head.textContent); continue; }
      for (const way of ["ascending", "descending"]) {
        button.click();
        if (head.getAttribute("aria-sort") !== way) bad.push(`${head.textContent}: not ${way}`);
        const found = [...table.tBodies[0].rows].map((row) => number(row.cells[head.cellIndex])).filter((v) => v !== null);
        const sorted = [...found].sort((a, b) => way === "ascending" ? a - b : b - a);
        if (JSON.stringify(found) !== JSON.stringify(sorted)) bad.push(`${head.textContent}: ${found} is not ${way}`);
        if (table.tBodies[0].rows.length !== rows) bad.push("rows were lost");
      }
    }
  }
  return JSON.stringify({bad});
})()"""

ENLARGE = """(async () => {
  const bad = [];
  const key = (what) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: what, bubbles: true}));
  const buttons = [...document.querySelectorAll(".enlarge")];
  if (buttons.length !== document.querySelectorAll("figure .frame").length) bad.push("figures that cannot be enlarged");
  for (const button of buttons) {
    button.focus();
    if (document.activeElement !== button) bad.push("a button that takes no focus");
    button.click();
    const dialog = document.querySelector("dialog");
    if (!dialog.open) { bad.push("nothing opened"); continue; }
    const picture = dialog.querySelector(".stage svg, .stage img");
    await new Promise((done) => setTimeout(done, 20));
    const before = picture.getBoundingClientRect().width;
    key("+");
    const after = picture.getBoundingClientRect().width;
    if (!(before > 50 && after > 1.3 * before)) bad.push(`enlarged from ${before} to ${after}`);
    key("-");
    dialog.close();
  }
  return JSON.stringify({bad});
})()"""


class Browser:
    """One Chromium with one page."""

    def __init__(self, program, profile):
        read_end, self._out = os.pipe()
        self._in, write_end = os.pipe()
        # Chromium reads commands from descriptor 3 and answers on 4.
        script = f'exec "$0" "$@" 3<&{read_end} 4>&{write_end}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(read_end, write_end), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(read_end)
        os.close(write_end)
        self._rest, self._id, self._session = b"", 0, None
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def close(self):
        os.close(self._out)
        os.close(self._in)
        self._process.terminate()
        self._process.wait(20)

    def _message(self, deadline):
        while b"\0" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                raise TimeoutError("Chromium does not answer")
            data = os.read(self._in, 1 << 20)
            if not data:
                raise RuntimeError("Chromium ended")
            self._rest += data
        text, self._rest = self._rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        self._id += 1
        command = {"id": self._id, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        data = json.dumps(command).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data):]
        deadline = time.monotonic() + 120
        while True:
            message = self._message(deadline)
            if message.get("id") == self._id:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def wait_for(self, event):
        deadline = time.monotonic() + 120
        while not any(m.get("method") == event for m in self.events):
            self.events.append(self._message(deadline))

    def open(self, path, width):
        columns, rows, scale = WIDTHS[width]
        self.call("Emulation.setDeviceMetricsOverride", width=columns, height=rows, deviceScaleFactor=scale,
                  mobile=width == "phone")
        self.events.clear()
        self.call("Page.navigate", url=pathlib.Path(path).resolve().as_uri())
        self.wait_for("Page.loadEventFired")

    def evaluate(self, script):
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return json.loads(result["result"]["value"])

    def complaints(self):
        """Errors on the console, and whatever was asked of the network."""
        bad = []
        for message in self.events:
            method, p = message.get("method"), message.get("params", {})
            if method == "Runtime.exceptionThrown":
                bad.append(f"exception: {p['exceptionDetails']}")
            if method == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning", "assert"):
                bad.append(f"console: {p['args']}")
            if method == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
                bad.append(f"log: {p['entry']['text']}")
            if method == "Network.requestWillBeSent" and p["request"]["url"].split(":")[0] not in ("file", "data"):
                bad.append(f"network: {p['request']['url']}")
        return bad

    def screenshot(self, path, width, height):
        """The whole page: a window as high as it is, since what lies beyond one is painted late on a busy machine."""
        columns, _, scale = WIDTHS[width]
        self.call("Emulation.setDeviceMetricsOverride", width=columns, height=height, deviceScaleFactor=scale,
                  mobile=width == "phone")
        time.sleep(1.0)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


def look_at(browser, page, shots=None, name="", least_figures=1):
    bad = []
    for width in WIDTHS:
        browser.open(page, width)
        found = browser.evaluate(LOOK)
        bad += [f"{width}: {what}" for what in found["bad"]]
        if found["figures"] < least_figures:
            bad.append(f"{width}: {found['figures']} figures, expected {least_figures} or more")
        if shots:
            height = browser.evaluate("JSON.stringify(document.documentElement.scrollHeight)")
            browser.screenshot(shots / f"{name}_{width}.png", width, min(height, 15000))
            browser.open(page, width)
        for script in (SORT, ENLARGE):
            bad += [f"{width}: {what}" for what in browser.evaluate(script)["bad"]]
        bad += [f"{width}: {what}" for what in browser.complaints()]
    print(f"{page}: {found['figures']} figures, {found['tables']} tables" + "".join("\n  BAD " + what for what in bad))
    return not bad


def tiny_pages(tarn, folder):
    """Two finished runs with their pages, and the comparison of the two."""
    pages, runs = [], []
    for name, neurons in (("small", 16), ("large", 48)):
        config = folder / f"{name}.toml"
        config.write_text(TINY.format(name=name, neurons=neurons))
        subprocess.run([tarn, "-q", "run", config, "--threads", "1", "--out", folder / name], check=True)
        runs.append(next(p for p in (folder / name).iterdir() if p.is_dir()))
        pages.append(runs[-1] / "report.html")
    subprocess.run([tarn, "-q", "compare", *runs, "--out", folder / "both"], check=True)
    return pages + [folder / "both" / "comparison.html"]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tarn")
    arguments.add_argument("--keep", type=pathlib.Path)
    arguments.add_argument("--page", nargs="*", type=pathlib.Path, default=[])
    arguments.add_argument("--shots", type=pathlib.Path)
    a = arguments.parse_args()
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        print("skipped: no Chromium (Debian: apt-get install chromium)")
        return 77
    with tempfile.TemporaryDirectory() as scratch:
        folder = a.keep or pathlib.Path(scratch) / "runs"
        folder.mkdir(exist_ok=True)
        pages, least = a.page, 1
        if a.tarn:
            pages, least = tiny_pages(a.tarn, folder), 3
        if a.shots:
            a.shots.mkdir(exist_ok=True)
        browser = Browser(program, pathlib.Path(scratch) / "profile")
        try:
            fine = [look_at(browser, page, a.shots, f"{page.resolve().parent.name}", least) for page in pages]
        finally:
            browser.close()
    return 0 if fine and all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
