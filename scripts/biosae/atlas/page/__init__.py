"""The page of the atlas: every HTML, style and script of this folder goes into every atlas as it is."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
_KINDS = (".html", ".css", ".js")


def page_files(folder: Path = FOLDER) -> list[Path]:
    """The files of the page, by name."""
    return sorted(file for file in folder.iterdir() if file.suffix in _KINDS)
