"""The page of the atlas: HTML, style and scripts of this folder, as every atlas holds them.

The sources open in a browser as they are. An atlas gets them without comments and white space, because a page
is at most 60 kB: what is copied with every run and read over a slow link should be small beside its data.
"""

from __future__ import annotations

from pathlib import Path

import rcssmin
import rjsmin

FOLDER = Path(__file__).parent
_SHORTER = {".html": str, ".css": rcssmin.cssmin, ".js": rjsmin.jsmin}


def page_files(folder: Path = FOLDER) -> dict[str, bytes]:
    """Bytes of each file of the page by its name, in order of name."""
    files = sorted(file for file in folder.iterdir() if file.suffix in _SHORTER)
    return {file.name: _SHORTER[file.suffix](file.read_text(encoding="utf-8")).encode() for file in files}
