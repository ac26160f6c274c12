"""The page of the atlas: HTML, style and scripts of this folder, as every atlas holds them.

The sources open in a browser as they are. An atlas gets the scripts as one, without comments and white space,
because a page is at most 60 kB: what is copied with every run and read over a slow link should be small
beside its data.
"""

from __future__ import annotations

import re
from pathlib import Path

import rcssmin
import rjsmin

FOLDER = Path(__file__).parent
_SCRIPT = re.compile(r'<script src="([a-z]+\.js)"></script>\n')
_STRICT = '"use strict";'


def page_files(folder: Path = FOLDER) -> dict[str, bytes]:
    """Bytes of index.html, atlas.css and atlas.js, which holds the scripts of index.html in their order."""

    def read(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    page = read("index.html")
    names = _SCRIPT.findall(page)
    scripts = [rjsmin.jsmin(read(name)).removeprefix(_STRICT) for name in names]
    head, tail = _SCRIPT.split(page, maxsplit=1)[0], page[page.rindex("</script>\n") + len("</script>\n") :]
    index = f'{head}<script src="atlas.js"></script>\n{tail}'
    files = {"index.html": index, "atlas.css": rcssmin.cssmin(read("atlas.css"))}
    files["atlas.js"] = _STRICT + "\n".join(scripts)
    return {name: text.encode() for name, text in files.items()}
