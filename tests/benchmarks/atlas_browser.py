"""How quick an atlas is in a browser, opened from the disk. From the repository's root, with Debian's
chromium, chromium-driver and firefox-esr:

    PYTHONPATH=scripts:tests/browser python tests/benchmarks/atlas_browser.py --atlas DIR

Times are wall times inside the page, from the change of the address to the frame that shows it; the files lie
in the page cache of the system. `cold`: the node's shard is not in memory, `warm`: it is. On a busy machine
they say little: the load is printed with them, and of Chromium the CPU time of the page's thread, the mean of
a step, which other processes hardly change.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
from bidi import Browser, missing_programs

# Notes when what an address asks for has been shown, after the frame that follows the change. `first`: what
# of a node is put into the page first (verdict and motifs), `shown`: all of it. A message comes before the
# page's own timer, which makes the rest.
WATCH = """() => {
  window.shownAt = window.firstAt = null;
  const frame = done => requestAnimationFrame(() => setTimeout(done));
  const shown = () => frame(() => { window.shownAt = performance.now(); });
  const told = new MessageChannel();
  told.port1.onmessage = () => { window.firstAt ??= performance.now(); };
  const first = () => requestAnimationFrame(() => told.port2.postMessage(0));
  const what = {subtree: true, attributes: true, attributeFilter: ["data-shown"]};
  new MutationObserver(shown).observe(document, what);
  const filled = changes => changes.some(({target}) => target.id === "one") && first();
  new MutationObserver(filled).observe(document, {subtree: true, childList: true});
}"""
GO = """(async hash => {
  window.shownAt = window.firstAt = null;
  const start = performance.now();
  location.hash = hash;
  while (window.shownAt === null) await new Promise(done => setTimeout(done, 4));
  return [window.firstAt - start, window.shownAt - start];
})"""
CHANGE = "(async t => {{ await table.change({part}); return performance.now() - t; }})(performance.now())"
SEARCHES = ["ctcf", "n12", "factor gata", "acgtac", "zzzz"]
FILTERS = [{"density": ">1e-3"}, {"explained_by": "factor"}, {"n_seqlets": "10..500", "hits_fired": ">0.2"}]
SORTS = ["density", "consensus", "best_motif_id", "match_q_value", "explained_by"]


def main() -> None:
    """Measure and print one table an engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--atlas", type=Path, required=True, help="folder of the atlas")
    parser.add_argument("--engines", nargs="+", default=["chromium", "firefox"])
    parser.add_argument("--nodes", type=int, default=1000, help="nodes to open before the memory is measured")
    arguments = parser.parse_args()
    for engine in arguments.engines:
        if lacking := missing_programs(engine):
            print(f"{engine}: left out, this machine has no {', '.join(lacking)}")
            continue
        print(f"\n{engine}, {arguments.atlas}, load {os.getloadavg()[0]:.1f}")
        with Browser(engine) as browser:
            for name, figure in measure(
                browser, arguments.atlas.resolve() / "index.html", arguments.nodes
            ).items():
                print(f"  {name:45} {figure}", flush=True)


def measure(browser: Browser, index: Path, n_nodes: int) -> dict[str, str]:
    """Figures of one engine, as text by name."""
    browser.call("script.addPreloadScript", functionDeclaration=WATCH)
    address = index.as_uri()
    found = opening(browser, address, "", "table")
    numbers = browser.js("[...A.column.node.values]")
    found |= opening(browser, address, f"#n={numbers[len(numbers) // 2]}", "first node")
    browser.open("about:blank")
    browser.open(address)
    browser.wait("window.shownAt")
    found |= tables(browser)
    shard = browser.js("A.shard_nodes")
    found |= nodes(browser, np.array(numbers), shard, n_nodes)
    found["heap after that"] = heap(browser)
    found["requests but for file://"] = str(len(browser.requests()))
    return found


def opening(browser: Browser, address: str, route: str, name: str, times: int = 5) -> dict[str, str]:
    """First paint and the time until what the address asks for is shown, of a page loaded afresh."""
    paint, shown = [], []
    for _ in range(times):
        browser.open("about:blank")
        browser.open(address + route)
        browser.wait("window.shownAt")
        shown.append(browser.js("window.shownAt"))
        paint.append(
            browser.js("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null")
        )
    return {f"first paint, {name}": median(paint), f"shown, {name}": median(shown)}


def tables(browser: Browser) -> dict[str, str]:
    """Search, filter and sort over all rows, until the table and the map are drawn anew."""

    clock = Clock(browser)

    def change(part: dict) -> float:
        return browser.js(CHANGE.format(part=json.dumps(part)))

    change({"q": "a first search makes words of small letters"})
    clock.start()
    search = [change({"q": text}) for _ in range(3) for text in SEARCHES]
    searching = clock.mean(len(search))
    change({"q": ""})
    clock.start()
    filters = [change({"filters": part}) for _ in range(3) for part in FILTERS]
    filtering = clock.mean(len(filters))
    change({"filters": {}})
    clock.start()
    first = [change({"sort": name, "down": False}) for name in SORTS]
    sorting = clock.mean(len(first))
    clock.start()
    again = [change({"sort": name, "down": True}) for _ in range(3) for name in SORTS]
    return {
        "search": spread(search) + searching,
        "filter": spread(filters) + filtering,
        "sort, first by a column": spread(first) + sorting,
        "sort, again": spread(again) + clock.mean(len(again)),
    }


def nodes(browser: Browser, numbers: np.ndarray, shard: int, n_nodes: int) -> dict[str, str]:
    """Open nodes: one of each of as many shards as there are, its neighbour in the shard, and so on."""
    rng = np.random.default_rng(0)
    cold, warm = [], []
    shards = np.arange(len(numbers) // shard)
    browser.js(f"(window.goTo = {GO}, 0)")
    clock = Clock(browser)
    clock.start()
    while len(cold) + len(warm) < n_nodes:
        for which in rng.permutation(shards):
            rows = which * shard + rng.choice(shard, 2, replace=False)
            for row, times in zip(rows, (cold, warm), strict=True):
                times.append(browser.js(f"goTo('#n={numbers[row]}')"))  # first of it, all of it
            if len(cold) + len(warm) >= n_nodes:
                break
    n = len(cold) + len(warm)
    found = {"nodes opened": f"{n}{clock.mean(n)}"}
    for name, times in (("cold", cold), ("warm", warm)):
        first, whole = zip(*times, strict=True)
        found |= {f"{name} node, verdict and motifs": spread(first), f"{name} node, all of it": spread(whole)}
    return found


class Clock:
    """CPU seconds of the thread that runs the page; Chromium alone tells."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        if browser.engine == "chromium":
            self.session = browser.call("goog:cdp.getSession", context=browser.context)["session"]
            self._cdp("Performance.enable", timeDomain="threadTicks")

    def _cdp(self, method: str, **params) -> dict:
        call = {"method": method, "params": params, "session": self.session}
        return self.browser.call("goog:cdp.sendCommand", **call)["result"]

    def _now(self) -> float:
        metrics = self._cdp("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    def start(self) -> None:
        self.at = self._now() if self.browser.engine == "chromium" else 0.0

    def mean(self, n: int) -> str:
        """Text of the mean since start, of n steps."""
        if self.browser.engine != "chromium":
            return ""
        return f"; {1000 * (self._now() - self.at) / n:.1f} ms of CPU"


def heap(browser: Browser) -> str:
    """JavaScript heap and the arrays outside it, after a collection; Firefox does not tell."""
    time.sleep(1)
    if browser.engine == "firefox":
        return "not told by this engine"
    call = {"context": browser.context}
    session = browser.call("goog:cdp.getSession", **call)["session"]

    def cdp(method: str) -> dict:
        return browser.call("goog:cdp.sendCommand", method=method, params={}, session=session)["result"]

    cdp("HeapProfiler.collectGarbage")
    usage = cdp("Runtime.getHeapUsage")
    sizes = {
        name: usage.get(name, 0) / 1e6 for name in ("usedSize", "embedderHeapUsedSize", "backingStorageSize")
    }
    return f"{sum(sizes.values()):.0f} MB ({', '.join(f'{name} {size:.1f}' for name, size in sizes.items())})"


def median(times: list) -> str:
    """Median of what was measured; the engine may not tell."""
    told = [x for x in times if x is not None]
    return f"{np.median(told):.0f} ms" if told else "not told by this engine"


def spread(times: list[float]) -> str:
    """Median and 95th percentile."""
    return f"median {np.median(times):.1f} ms, 95 % {np.percentile(times, 95):.1f} ms, n {len(times)}"


if __name__ == "__main__":
    main()
