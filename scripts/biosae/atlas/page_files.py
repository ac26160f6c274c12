"""The page's files as an atlas holds them: scripts without comments and white space, everything else as it is.

The sources in `page/` open in a browser too. A page is at most 60 kB, so that a reader can copy and look through it.
"""

from __future__ import annotations

from pathlib import Path

import rjsmin

PAGE = Path(__file__).parent / "page"


def served_files(folder: Path = PAGE) -> dict[str, bytes]:
    """Bytes of each file of the page by its name, in order of name.

    Args:
        folder: the sources: index.html, atlas.css and the scripts that index.html names.
    """
    files = [file for file in sorted(folder.iterdir()) if file.suffix in (".html", ".css", ".js")]
    return {file.name: _served(file) for file in files}


def _served(file: Path) -> bytes:
    text = file.read_text(encoding="utf-8")
    return (rjsmin.jsmin(text) if file.suffix == ".js" else text).encode()
