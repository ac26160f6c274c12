"""Snakemake's report of the tiny run: made without a network, with captions, the atlas byte for byte."""

import json
import re
import sys
import zipfile
from pathlib import Path

import helpers
import pytest

pytestmark = pytest.mark.workflow

RUN = f"results/tiny/{helpers.SAE}"
FIGURES = ("training_curve", "quality", "umap", "jaccard", "overlaps")
ENVIRONMENT = helpers.environment
# any connection, and any look-up of a name, ends the process that tries it
NO_NETWORK = """
import os, socket, sys
def refuse(*address, **options):
    os.write(2, f"a connection was tried: {address}".encode())
    os._exit(3)
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
"""


@pytest.fixture(scope="module")
def report(world, tmp_path_factory):
    """The finished world's folder and the zip that Snakemake makes of it where every connection fails."""
    folder, config, first = world
    assert first.returncode == 0, first.stderr
    base = tmp_path_factory.mktemp("report")
    (base / "sitecustomize.py").write_text(NO_NETWORK)
    path = base / "report.zip"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(helpers, "environment", lambda: ENVIRONMENT() | {"PYTHONPATH": str(base)})
        probe = "import socket; socket.create_connection(('127.0.0.1', 9))"
        assert helpers.run([sys.executable, "-c", probe], folder).returncode == 3, "the net is shut"
        made = helpers.snakemake(folder, config, "--report", str(path))
    assert made.returncode == 0, made.stderr
    return folder, zipfile.ZipFile(path)


def results_of(archive: zipfile.ZipFile) -> dict[str, dict]:
    """What report.html says of each result, by its path in the working folder."""
    page = archive.read("report/report.html").decode()
    return json.loads(re.search(r"^ *var results = (\{.*\});?$", page, re.M)[1])


def test_it_holds_atlas_figures_and_tables_with_captions_and_labels(report):
    _, archive = report
    results = results_of(archive)
    figures = {f"{RUN}/figures/{name}.svg" for name in FIGURES} | {"results/tiny/raw/figures/quality.svg"}
    tables = {f"{RUN}/nodes.tsv", "results/tiny/raw/nodes.tsv"}
    summary = {f"results/{name}" for name in ("scoreboard.tsv", "scoreboard.svg", "summary.tsv")}
    summary.add("results/summary.html")
    assert set(results) == {f"{RUN}/atlas/index.html", *figures, *tables, *summary}
    for path, result in results.items():
        assert len(re.sub("<[^>]*>", "", result["caption"])) > 60, f"{path} has no caption"
        assert "system-message" not in result["caption"], "a caption is not good reStructuredText"
        assert result["labels"], path
        if path.startswith("results/tiny/"):
            assert path.split("/")[2] in result["caption"], "its caption names the run"
    assert results[f"{RUN}/atlas/index.html"]["labels"] == {"run": helpers.SAE}
    page = archive.read("report/report.html").decode()
    categories = json.loads(re.search(r"^ *var categories = (\{.*\});?$", page, re.M)[1])
    assert {"Atlas", "Figures", "Tables", "All runs"} <= set(categories)
    assert set(categories["Figures"]) == {helpers.SAE, "raw"}


def test_every_result_is_in_it_byte_for_byte_and_the_atlas_whole(report):
    folder, archive = report
    names = set(archive.namelist())
    for path, result in results_of(archive).items():
        assert archive.read(f"report/{result['data_uri']}") == (folder / path).read_bytes()
    index = results_of(archive)[f"{RUN}/atlas/index.html"]["data_uri"]
    inside = Path("report") / Path(index).parent
    own = [p for p in (folder / RUN / "atlas").rglob("*") if p.is_file() and p.name != ".snakemake_timestamp"]
    assert len(own) > 5
    for file in own:
        member = f"{inside}/{file.relative_to(folder / RUN / 'atlas').as_posix()}"
        assert member in names
        assert archive.read(member) == file.read_bytes()


def test_it_asks_for_nothing_from_the_network_when_opened(report):
    _, archive = report
    page = archive.read("report/report.html").decode()
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)\s*=\s*[\"']?https?:", page)
