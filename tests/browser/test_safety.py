"""What an atlas must bear: markup in names, damaged files, odd runs; and that it asks nobody for anything."""

import base64
import gzip
import json
import re
import shutil

import pytest
from small_atlas import write_atlas, write_script
from small_nodes import CHROMS, MARKUP, MARKUP_NODE, SHARD, N, node_number

from conftest import Page


@pytest.fixture
def copy(browser, small, tmp_path):
    """A copy that a test may damage; it answers for the complaints of its own."""
    folder = tmp_path / "atlas"
    shutil.copytree(small.parent, folder)
    yield Page(browser, folder / "index.html")
    assert browser.requests() == []


def rewrite(data, name, change):
    """Change the inflated payload of a shard and pack it again, a valid gzip with another content."""
    text = re.search(r'atlas\("\w+", "([^"]+)"\)', (data / f"{name}.js").read_text()).group(1)
    raw = gzip.decompress(base64.b64decode(text))
    size = int.from_bytes(raw[:4], "little")
    body = json.dumps(change(json.loads(raw[4 : 4 + size]))).encode()
    body += b" " * (-(4 + len(body)) % 8)
    raw = len(body).to_bytes(4, "little") + body + raw[4 + size :]
    write_script(data, name, base64.b64encode(gzip.compress(raw, mtime=0)).decode())


def remove(data):
    (data / "nodes_0001.js").unlink()


def cut(data):
    file = data / "nodes_0001.js"
    file.write_bytes(file.read_bytes()[:-5000])


def garble(data):
    """Change letters in the middle of the base64, which stays base64."""
    file = data / "nodes_0001.js"
    text = file.read_text()
    middle = len(text) // 2
    file.write_text(text[:middle] + "AAAAAAAA" + text[middle + 8 :])


def alter(data):
    def change(head):
        head["nodes"][0]["motifs"][0]["e_value"] = 1e-300
        return head

    rewrite(data, "nodes_0001", change)


def empty(data):
    (data / "nodes_0001.js").write_text("")


def swap(data):
    text = (data / "nodes_0000.js").read_text()
    (data / "nodes_0001.js").write_text(text)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (remove, "missing"),
        (cut, "cut short"),
        (empty, "cut short"),
        (garble, "altered"),
        (alter, "altered"),
        (swap, "cut short"),  # it calls atlas() with the name of another file
    ],
)
def test_a_damaged_shard_is_named_and_the_rest_works(copy, damage, said):
    damage(copy.index.parent / "data")
    copy.open(f"#n={node_number(SHARD)}")
    assert "data/nodes_0001.js" in copy.alerts()
    assert said in copy.alerts()
    assert "cannot be shown" in copy.text("#one h1")
    copy.go(f"#n={node_number(0)}")
    assert copy.text(".verdict h1").startswith("GATA1::TAL1")
    copy.go("#q=ctcf")
    copy.wait("table.view.length > 1")
    copy.browser.forget()


def test_without_checksums_gzip_and_the_id_of_the_build_still_tell(copy):
    """A page over http from another machine has no crypto.subtle."""
    data = copy.index.parent / "data"
    garble(data)
    rewrite(data, "nodes_0002", lambda head: head | {"atlas": "fedcba9876543210"})
    copy.open("#cols=rank")
    copy.js("(checksum = async () => null, 0)")
    copy.go(f"#n={node_number(SHARD)}")
    assert "data/nodes_0001.js is damaged" in copy.alerts()
    copy.go(f"#n={node_number(2 * SHARD)}")
    assert "data/nodes_0002.js belongs to another build" in copy.alerts()


@pytest.mark.parametrize("name", ["targets", "loci_0000", "genes"])
def test_other_damaged_files_are_named_too(copy, name):
    (copy.index.parent / "data" / f"{name}.js").unlink()
    copy.open(
        {"targets": f"#n={node_number(0)}", "loci_0000": "#q=chr1:1-100000", "genes": "#q=gene:TP53"}[name]
    )
    assert f"data/{name}.js is missing" in copy.alerts()
    copy.go(f"#n={node_number(1)}")
    assert copy.text(".verdict h1").startswith("CTCF")
    copy.browser.forget()


@pytest.mark.parametrize("damage", ["missing", "cut", "format"])
def test_a_damaged_index_is_said(copy, damage):
    data = copy.index.parent / "data"
    if damage == "missing":
        (data / "index.js").unlink()
    elif damage == "cut":
        (data / "index.js").write_bytes((data / "index.js").read_bytes()[:1000])
    else:
        rewrite(data, "index", lambda head: head | {"format": 2})
    copy.browser.open("about:blank")
    copy.browser.open(copy.index.as_uri())
    copy.wait("document.getElementById('alerts').textContent.includes('data/index.js')")
    assert copy.text("#wait") == "The atlas cannot be shown."
    assert {"missing": "missing", "cut": "cut short", "format": "has format 2"}[damage] in copy.alerts()
    copy.browser.forget()


def test_markup_in_names_stays_text(page):
    """A name of a match, of a class, of a database, of a chromosome, and the reader's own label."""
    page.open(f"#n={node_number(MARKUP_NODE)}")
    page.js("(window.alert = () => { window.fooled = true; }, 0)")
    page.type(".mine input", MARKUP)
    page.press("Enter")
    page.go(f"#cmp={node_number(MARKUP_NODE)},{node_number(1)}")
    page.go(f"#n={node_number(MARKUP_NODE)}")
    assert MARKUP in page.text(".verdict h1")
    assert MARKUP in page.text("#one tr.weak")
    assert any(CHROMS[1] in text for text in page.texts(".locus"))
    page.go("#cols=rank,node,label,target_name")
    assert page.column("label")[MARKUP_NODE] == MARKUP
    assert page.column("target_name")[MARKUP_NODE] == MARKUP
    assert MARKUP in page.text("#side")
    assert page.count("img") == 0
    assert page.js("window.fooled === undefined")
    links = page.each("a", "e.protocol")
    assert set(links) <= {"file:", "https:", "http:"}


def test_a_link_of_a_chromosome_with_quotes_is_encoded(page):
    page.open(f"#n={node_number(0)}")
    hrefs = page.each(".examples a", "e.getAttribute('href')")
    odd = [href for href in hrefs if "img" in href]
    assert odd
    assert all("<" not in href and '"' not in href and "%3Cimg" in href for href in odd)


def test_only_paths_of_the_folder_are_offered(browser, tmp_path):
    evil = [
        {"path": "javascript:alert(1)", "text": "x", "bytes": 1},
        {"path": "files/../../x", "text": "x", "bytes": 1},
    ]
    page = Page(
        browser,
        write_atlas(
            tmp_path / "atlas", downloads=[*evil, {"path": "files/nodes.tsv", "text": "x", "bytes": 1}]
        ),
    )
    page.open()
    assert page.each(".menu li a", "e.getAttribute('href')") == ["files/nodes.tsv"]


def test_the_policy_forbids_requests_and_strange_scripts(page):
    page.open()
    policy = page.js("document.querySelector('meta[http-equiv=Content-Security-Policy]').content")
    assert "connect-src 'none'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    blocked = page.js("fetch('data/index.js').then(() => 'read', () => 'blocked')")
    assert blocked == "blocked"
    page.js(
        "(document.body.insertAdjacentHTML('beforeend', '<i id=trap onclick=\"window.fooled = 1\"></i>'), 0)"
    )
    page.js("document.getElementById('trap').click()")
    assert page.js("window.fooled === undefined")
    page.browser.forget()  # the engines report what they blocked


def test_no_request_leaves_the_folder(page):
    page.open()
    for row in (0, 64, 129):
        page.go(f"#n={node_number(row)}")
    page.go("#q=gene:TP53")
    page.go(f"#cmp={node_number(0)},{node_number(1)}")
    assert page.browser.requests() == []
    assert page.js("performance.getEntriesByType('resource').every(e => e.name.startsWith('file:'))")


def test_runs_that_lack_things(browser, tmp_path):
    """No assembly, no coordinates, no genes, no nulls, no scoreboard, no curve, no recovery."""
    lacking = {
        "assembly": None,
        "loci": None,
        "has_genes": False,
        "nulls": [],
        "scoreboard": [],
        "curve": [],
        "recovery": None,
        "evaluation": {},
        "counts": {},
        "downloads": [],
    }
    page = Page(browser, write_atlas(tmp_path / "atlas", **lacking))
    page.open("#q=chr1:1-100")
    assert "no coordinates" in page.text("#count")
    page.go("#q=gene:TP53")
    assert "no genes" in page.text("#count")
    page.go(f"#n={node_number(0)}")
    assert page.count(".examples a") == 103 + 16  # IGV alone
    assert page.alerts() == ""
    assert page.browser.complaints() == []


def test_a_node_that_is_not_there_is_said(page):
    page.open("#n=123456")
    assert "No kept node 123456" in page.alerts()
    page.go("#cols=rank")
    assert page.js("table.view.length") == N
