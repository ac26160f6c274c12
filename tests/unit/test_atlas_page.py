"""The page's files as they are copied into every atlas."""

import re

import rjsmin

from biosae.atlas.page import FOLDER, page_files

MOST_BYTES = 60_000


def test_a_page_is_three_files_of_at_most_60_kb():
    files = page_files()
    assert sorted(files) == ["atlas.css", "atlas.js", "index.html"]
    assert sum(map(len, files.values())) <= MOST_BYTES


def test_every_script_of_the_folder_is_in_the_page_in_the_order_of_the_sources():
    """A script that index.html does not name would be left out in silence."""
    named = re.findall(r'<script src="([a-z]+\.js)">', (FOLDER / "index.html").read_text())
    assert sorted(named) == sorted(file.name for file in FOLDER.glob("*.js"))
    index, script = page_files()["index.html"].decode(), page_files()["atlas.js"].decode()
    assert re.findall(r'<script src="([^"]+)">', index) == ["atlas.js"]
    places = [script.index(rjsmin.jsmin((FOLDER / name).read_text())[20:80]) for name in named]
    assert places == sorted(places)


def test_the_page_asks_for_nothing_and_makes_no_markup_of_text():
    files = page_files()
    html, script, style = (files[name].decode() for name in ("index.html", "atlas.js", "atlas.css"))
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "fetch(",
        "XMLHttpRequest",
    ):
        assert word not in script, word
    assert "url(" not in style
    assert "@import" not in style
    assert re.findall(r'(?:src|href)="([^"#]*)"', html) == ["atlas.css", "atlas.js"]
    assert "connect-src 'none'" in html
    outside = set(re.findall(r"https?://[^\s\"'`$]+", html + script + style))
    assert outside == {
        "http://www.w3.org/",  # names of element kinds, nothing that is asked for
        "https://genome.ucsc.edu/cgi-bin/hgTracks?db=",
        "http://localhost:60151/goto?locus=",
    }


def test_texts_between_backticks_do_not_hold_others():
    """rjsmin takes white space out of code alone, and cannot tell code within a text within a text."""
    for file in FOLDER.glob("*.js"):
        depth = [0]
        for token in re.findall(r"\\.|\$\{|[{}`]", file.read_text()):
            if token == "`":
                if depth[-1] == "text":
                    depth.pop()
                else:
                    assert "text" not in depth, f"{file.name} has a text within a text"
                    depth.append("text")
            elif token == "${" or (token == "{" and depth[-1] != "text"):
                depth.append(0)
            elif token == "}" and depth[-1] != "text":
                depth.pop()
