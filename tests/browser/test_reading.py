"""Finding one's way: addresses, keys, labels, an iframe, a server, small screens, paper, access for all."""

import functools
import http.server
import threading
from pathlib import Path

import axe_core_python
import pytest
from bidi import Browser
from small_atlas import write_atlas
from small_nodes import WITHOUT_MOTIF, N, node_number

from conftest import READY, Page

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
FIRST, SECOND = node_number(0), node_number(1)
NODE, TABLE, COMPARISON = f"#n={FIRST}", "", f"#cmp={FIRST},{SECOND}"


def test_an_address_brings_back_the_whole_table(page):
    page.open("#q=factor&sort=-density&f.cluster=%3C5&cols=rank%2Cnode%2Cdensity%2Ccluster&by=density")
    state = page.js(
        "[table.state.q, table.state.sort, table.state.down, table.state.filters, table.state.cols, map.by]"
    )
    assert state == [
        "factor",
        "density",
        True,
        {"cluster": "<5"},
        ["rank", "node", "density", "cluster"],
        "density",
    ]
    nodes = page.js("[...table.view]")
    address = page.js("location.hash")
    page.click("[data-sort=cluster]")
    page.wait("table.state.sort === 'cluster'")
    assert "sort=cluster" in page.js("location.hash")
    page.open(address)
    assert page.js("[...table.view]") == nodes


def test_an_address_brings_back_the_view_of_a_node(page):
    page.open(f"{NODE}&rc=1_n{FIRST}_m1&align=motif&flip=1")
    assert page.js("document.querySelector('.motif [aria-pressed]').getAttribute('aria-pressed')") == "true"
    assert page.js("document.querySelector('input[value=motif]').checked")
    assert page.js("document.querySelector('.controls [type=checkbox]').checked")


def test_back_and_forward(page):
    page.open("#sort=-density")
    page.js("(document.getElementById('scroller').scrollTop = 900, 0)")
    page.wait("table.live.has(35)")
    rows = page.js("[...table.view]")
    page.js("table.live.get(35).querySelector('a').click()")
    page.wait("location.hash.startsWith('#n=')")
    node = page.js("location.hash")
    page.wait(READY)
    page.click("nav span:last-child a")
    page.wait(f"location.hash !== {node!r} && {READY}")
    page.back()
    page.wait(f"location.hash === {node!r} && {READY}")
    page.back()
    page.wait(f"location.hash === '#sort=-density' && {READY}")
    assert page.js("[...table.view]") == rows
    assert page.js("document.getElementById('scroller').scrollTop") == 900
    page.back(1)
    page.wait(f"location.hash === {node!r} && {READY}")


def test_a_node_that_is_read_late_does_not_cover_the_table(page):
    page.open()
    late = "row => new Promise(go => { window.go = () => go(kept(row)); })"
    page.js(f"(window.kept = readNode, readNode = {late}, 0)")
    page.js(f"(location.hash = 'n={node_number(3)}', 0)")
    page.wait("window.go")
    page.go("#q=").js("(readNode = window.kept, go(), 0)")
    page.js("new Promise(done => setTimeout(done, 200))")
    assert page.js("[$('all').hidden, $('one').hidden]") == [False, True]


def test_the_first_of_a_node_is_shown_before_the_rest(page):
    page.open()
    note = "() => seen.push(document.querySelectorAll('#one h2').length)"
    observe = f"new MutationObserver({note}).observe($('one'), {{childList: true}})"
    page.js(f"(window.seen = [], {observe}, 0)")
    page.go(f"#n={node_number(3)}")
    first, whole = page.js("seen")
    assert 0 < first < whole == page.count("#one h2")


def test_the_keyboard_alone_reaches_everything(page):
    page.open()
    page.press("/")
    assert page.js("document.activeElement.id") == "q"
    page.press(*"ctcf", "Enter")
    page.wait("document.activeElement.closest('.nodes tbody')")
    page.press("ArrowDown", "ArrowDown", "ArrowUp")
    page.wait("table.current === 1")
    second = page.js("`#n=${A.column.node.values[table.view[1]]}`")
    page.press("Enter")
    page.wait(f"location.hash === {second!r} && {READY}")
    assert page.js("document.activeElement.tagName") == "H1"  # a screen reader starts with the verdict
    page.press("ArrowRight")
    page.wait("location.hash === `#n=${A.column.node.values[table.view[2]]}`")
    page.press("ArrowLeft")
    page.wait(f"location.hash === {second!r} && {READY}")
    page.press("Escape")
    page.wait(f"location.hash === '#q=ctcf' && {READY}")
    page.js("document.querySelector('[data-sort=density]').focus()")
    page.press("Enter")
    page.wait("table.state.sort === 'density' && document.activeElement.dataset.sort === 'density'")


def test_rows_can_be_walked_beyond_those_in_sight(page):
    page.open()
    page.js("document.getElementById('scroller').focus()")
    page.press(*["ArrowDown"] * 60)
    page.wait("table.current === 59")
    assert page.js("document.activeElement.hash") == f"#n={node_number(59)}"
    box = "(({top, bottom}) => [top, bottom])(%s.getBoundingClientRect())"
    row, table = (page.js(box % element) for element in ("document.activeElement", "table.scroller"))
    assert table[0] <= row[0] < row[1] <= table[1]


def label(page, node, text):
    page.go(f"#n={node}")
    page.type(".mine input", text)
    page.press("Enter")
    page.wait(f"labels.get({node}) === {text!r}")


def test_labels_are_kept_found_saved_and_taken_in(page):
    page.open()
    label(page, FIRST, "my factor")
    assert "my factor" not in page.alerts()
    page.open()  # a new load of the page
    assert page.column("label")[0] == "my factor"
    page.go("#q=my+factor")
    page.wait("table.view.length === 1")
    page.go("#f.label=my&sort=-label")
    page.wait("table.view.length === 1 && table.state.sort === 'label'")
    text = page.saved("exportLabels()")
    assert text == f"node\tlabel\n{FIRST}\tmy factor\n"
    page.js(f"importLabels('label\\tnode\\nother\\t{SECOND}\\nnobody\\t5\\n\\t{FIRST}\\n')")
    assert "2 labels imported; 1 rows name no node" in page.alerts()
    assert page.js("[...labels]") == [[SECOND, "other"]]
    page.js("importLabels('a,b\\n1,2')")
    assert "no columns node and label" in page.alerts()
    page.open()
    assert page.js("[...labels]") == [[SECOND, "other"]]


def test_a_file_is_saved_to_disk(page):
    page.open()
    page.click("#bar details:nth-of-type(2) summary")
    page.js(
        "[...document.querySelectorAll('.menu button')].find(b => b.textContent.includes('as shown')).click()"
    )
    file = page.browser.downloads / "nodes_shown.tsv"
    page.wait("1")
    for _ in range(200):
        if file.exists() and file.stat().st_size:
            break
        page.js("new Promise(done => setTimeout(done, 50))")
    assert len(file.read_text().splitlines()) == N + 1


def test_in_an_iframe_of_another_page(browser, small, tmp_path):
    """Snakemake's report shows the atlas so."""
    outer = tmp_path / "report.html"
    outer.write_text(f'<!doctype html><iframe src="{small.as_uri()}" width=1200 height=800></iframe>')
    browser.open("about:blank")
    browser.forget()
    browser.open(outer)
    (tree,) = browser.call("browsingContext.getTree", root=browser.context)["contexts"]
    frame = tree["children"][0]["context"]
    browser.wait(READY, context=frame)
    browser.js(f"(location.hash = '#n={SECOND}', 0)", frame)
    browser.wait(f"location.hash === '#n={SECOND}' && {READY}", context=frame)
    assert browser.js("document.querySelector('.verdict h1').textContent", frame).startswith("CTCF")
    browser.js("document.querySelector('nav a').click()", frame)
    browser.wait(f"!document.getElementById('all').hidden && {READY}", context=frame)
    assert browser.js("document.getElementById('alerts').textContent", frame) == ""
    assert browser.complaints() == []


def test_from_a_server(browser, small):
    """As `python3 -m http.server` gives it: the same page, and nothing asked for beyond its own files."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=small.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        browser.open("about:blank")
        browser.forget()
        browser.open(f"{address}/index.html{NODE}")
        browser.wait(READY)
        assert browser.js("document.querySelector('.verdict h1').textContent").startswith("GATA1::TAL1")
        asked = [url.removeprefix(address) for url in browser.requests()]
        browser.open("about:blank")
        server.shutdown()
    shards = {url for url in asked if url.startswith("/data/")}
    assert shards == {"/data/index.js", "/data/nodes_0000.js", "/data/targets.js"}
    assert all(url.startswith("/") for url in asked)
    browser.forget()


@pytest.mark.parametrize("route", [TABLE, NODE, COMPARISON, f"#n={node_number(WITHOUT_MOTIF)}", "#n=5"])
def test_nothing_overflows_a_screen_of_390_px(page, route):
    try:
        page.browser.resize(390, 800)
        page.open(route)
        page.js("document.querySelectorAll('details:not(#bar details)').forEach(d => { d.open = true; })")
        page.js("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.js("document.documentElement.scrollWidth") <= 390
        wide = page.js(
            "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > 391"
            " && e.checkVisibility()"
            " && !e.closest('.wide, #scroller, .unseen')).map(e => e.outerHTML.slice(0, 80))"
        )
        assert wide == []
    finally:
        page.browser.resize(1440, 900)
        page.browser.forget()


def violations(browser):
    target = {"context": browser.context}
    browser.call("script.evaluate", expression=AXE + ";0", target=target, awaitPromise=False)
    return browser.js(
        "axe.run().then(r => r.violations.map(v => [v.impact, v.id, v.nodes.map(n => n.html.slice(0, 90))]))"
    )


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(engine, small, dark):
    with Browser(engine, dark=dark) as browser:
        page = Page(browser, small)
        for route in (NODE, TABLE, COMPARISON, "#q=nothing-of-that-name", "#n=5"):
            page.open(route)
            page.js("document.querySelectorAll('details').forEach(d => { d.open = true; })")
            page.js("new Promise(done => setTimeout(done, 50))")
            assert page.js("matchMedia('(prefers-color-scheme: dark)').matches") is dark
            found = violations(browser)
            if route == NODE:
                assert found == []
            assert [v for v in found if v[0] in ("serious", "critical")] == [], route


def test_light_and_dark_differ(engine, small):
    seen = set()
    for dark in (False, True):
        with Browser(engine, dark=dark) as browser:
            Page(browser, small).open()
            seen.add(
                browser.js(
                    "getComputedStyle(document.body).backgroundColor + getComputedStyle(document.body).color"
                )
            )
    assert len(seen) == 2


def test_on_paper_all_rows_stand(page):
    page.open()
    page.js("(dispatchEvent(new Event('beforeprint')), 0)")
    assert page.count(".nodes tbody tr[aria-rowindex]") == N
    page.js("(dispatchEvent(new Event('afterprint')), 0)")
    assert page.count(".nodes tbody tr[aria-rowindex]") < 60


def test_a_run_without_a_kept_node(browser, tmp_path):
    index = write_atlas(tmp_path / "atlas", n=0)
    page = Page(browser, index).open()
    assert "no kept node" in page.text("#empty")
    assert "No map" in page.text(".legend")
    assert page.browser.complaints() == []
    assert violations(page.browser) == []
