"""A folder of bigWig files as a UCSC track hub, and as a session of IGV.

https://genome.ucsc.edu/goldenPath/help/hgTrackHubHelp.html. All paths are relative, so the folder can be put
on any web server; IGV Desktop opens the session where it lies.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

from biosae.artefacts import write_text

_SHORT, _LONG = 17, 76  # letters that UCSC shows of a label
_COLOUR = "8,48,107"


def write_hub(folder: Path, tracks: pd.DataFrame, name: str, assembly: str, email: str) -> None:
    """Write ``hub.txt``, ``genomes.txt``, ``{assembly}/trackDb.txt`` and ``igv_session.xml``.

    Args:
        folder: the hub; bigWig files lie below it.
        tracks: rank, node, file (relative to ``folder``), label, max_activation, in the order they are shown.
        name: of the run.
        assembly: as UCSC and IGV call it, such as hg38.
        email: whom a reader may ask; UCSC demands one.
    """
    hub = _stanza(
        hub=f"biosae_{_word(name)}",
        shortLabel=name[:_SHORT],
        longLabel=f"biosae nodes of {name}"[:_LONG],
        genomesFile="genomes.txt",
        email=email,
    )
    write_text(folder / assembly / "trackDb.txt", _track_db(tracks, name))
    write_text(folder / "genomes.txt", _stanza(genome=assembly, trackDb=f"{assembly}/trackDb.txt"))
    write_text(folder / "igv_session.xml", _session(tracks, assembly))
    write_text(folder / "hub.txt", hub)


def _track_db(tracks: pd.DataFrame, name: str) -> str:
    parent = _stanza(
        track="biosae_nodes",
        compositeTrack="on",
        shortLabel="biosae nodes",
        longLabel=f"Activation of nodes of {name}"[:_LONG],
        type="bigWig",
        visibility="full",
        autoScale="on",
        maxHeightPixels="100:32:8",
        color=_COLOUR,
    )
    own = [
        _stanza(
            track=f"biosae_n{row.node}",
            parent="biosae_nodes on",
            bigDataUrl=Path(row.file).name,
            shortLabel=f"n{row.node} {row.label}"[:_SHORT].strip(),
            longLabel=f"Node {row.node}, rank {row.rank}{': ' * bool(row.label)}{row.label}"[:_LONG],
            type=f"bigWig 0 {row.max_activation:.6g}",
        )
        for row in tracks.itertuples()
    ]
    return "\n".join([parent, *own])


def _stanza(**settings: str) -> str:
    # a line break in a name would begin a setting of its own
    return "".join(f"{key} {' '.join(str(value).split())}\n" for key, value in settings.items())


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)


def _session(tracks: pd.DataFrame, assembly: str) -> str:
    session = ElementTree.Element("Session", genome=assembly, version="8")
    resources = ElementTree.SubElement(session, "Resources")
    panel = ElementTree.SubElement(session, "Panel", name="biosae")
    for row in tracks.itertuples():
        ElementTree.SubElement(resources, "Resource", path=row.file)
        ElementTree.SubElement(
            panel,
            "Track",
            id=row.file,
            name=f"n{row.node} {row.label}".strip(),
            color=_COLOUR,
            autoScale="true",
        )
    ElementTree.indent(session)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(session, encoding="unicode") + "\n"
    )
