"""The page's files as an atlas holds them: scripts and styles without comments and white space.

The sources in `page/` open in a browser too. A page is at most 60 kB, so that a reader can copy and look through it.
"""

from __future__ import annotations

from pathlib import Path

import rcssmin
import rjsmin

_SHORTER = {".html": str, ".css": rcssmin.cssmin, ".js": rjsmin.jsmin}
PAGE = Path(__file__).parent / "page"


def served_files(folder: Path = PAGE) -> dict[str, bytes]:
    """Bytes of each file of the page by its name, in order of name.

    Args:
        folder: the sources: index.html, atlas.css and the scripts that index.html names.
    """
    files = [file for file in sorted(folder.iterdir()) if file.suffix in _SHORTER]
    return {file.name: _SHORTER[file.suffix](file.read_text(encoding="utf-8")).encode() for file in files}
