"""Nodes along the genome: every base once, from the right sequence; read back with pybigtools."""

from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pybigtools
import pytest
from helpers_store import write_files
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae.activations import ActivationStore
from biosae.errors import ConfigError, InputError
from biosae.geometry import Layer
from biosae.node_tracks import Stretch, stretches, write_node_tracks
from biosae.track_hub import write_hub
from biosae.track_run import chosen_nodes

PLAIN = Layer("mine", "", 3, 4, 0, 4)  # position j reads its own four bases


class Identity:
    """A dictionary whose node n is channel n, where it is above 0."""

    n_nodes = channels = 3

    def encode_block(self, x):
        rows, nodes = np.nonzero(x > 0)
        return SimpleNamespace(rows=rows, nodes=nodes, values=x[rows, nodes])


def store_of(folder, array, *places, strand="+"):
    write_files(folder, [np.asarray(array, np.float32)])
    width = 4 * len(array[0])
    lines = [
        f"{chrom}\t{start}\t{start + width}\t0\t{row}\t{strand}" for row, (chrom, start) in enumerate(places)
    ]
    (folder / "intervals.tsv").write_text("\n".join(["chrom\tstart\tend\tfile\trow\tstrand", *lines]) + "\n")
    return ActivationStore.open(folder)


def records(path, chrom):
    return [
        (start, end, pytest.approx(value)) for start, end, value in pybigtools.open(str(path)).records(chrom)
    ]


def test_what_fires_is_drawn_and_zeros_are_not(tmp_path):
    array = [[[0.5, 0, 0], [0, 2, 0], [1.5, 3, 0], [-1, 0, 0]], [[4, 0, 1], [0, 0, 0], [0, 0, 0], [0, 5, 0]]]
    store = store_of(tmp_path / "s", array, ("chr2", 8), ("chr10", 100))
    lengths = {"chr2": 50, "chr10": 200, "chr3": 9}
    files = {1: tmp_path / "h" / "b.bw", 0: tmp_path / "h" / "a.bw"}
    table = write_node_tracks(Identity(), store, PLAIN, lengths, files)
    assert records(files[0], "chr2") == [(8, 12, 0.5), (16, 20, 1.5)]
    assert records(files[0], "chr10") == [(100, 104, 4.0)]
    assert records(files[1], "chr2") == [(12, 16, 2.0), (16, 20, 3.0)]
    assert records(files[1], "chr10") == [(112, 116, 5.0)]
    assert pybigtools.open(str(files[0])).chroms()["chr10"] == 200
    assert table.to_numpy().tolist() == [[1, 3, 5.0, 0], [0, 3, 4.0, 0]]
    assert sorted(path.name for path in (tmp_path / "h").iterdir()) == ["a.bw", "b.bw"]


@pytest.mark.parametrize(("left", "right", "shift"), [(19, 23, 0), (0, 6, 1), (0, 4, 0), (10, 4, -5)])
def test_a_position_is_drawn_in_the_middle_of_what_it_reads(tmp_path, left, right, shift):
    store = store_of(tmp_path / "s", [[[0, 0, 0], [0, 0, 0], [0, 0, 7]]], ("chr1", 40))
    path = tmp_path / "c.bw"
    write_node_tracks(Identity(), store, Layer("mine", "", 3, 4, left, right), {"chr1": 99}, {2: path})
    assert records(path, "chr1") == [(48 + shift, 52 + shift, 7.0)]


def test_of_two_sequences_that_overlap_each_base_is_of_the_one_it_lies_deeper_in(tmp_path):
    # 8 positions each, 16 bases shared: [16, 32)
    array = np.ones((2, 8, 3)) * np.array([1, 2])[:, None, None]
    store = store_of(tmp_path / "s", array, ("chr1", 16), ("chr1", 0))
    path = tmp_path / "a.bw"
    table = write_node_tracks(Identity(), store, PLAIN, {"chr1": 99}, {0: path})
    values = pybigtools.open(str(path)).values("chr1", 0, 99, fillna=0)
    assert values.tolist() == [2.0] * 24 + [1.0] * 24 + [0.0] * 51
    assert table["n_positions"].tolist() == [12]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["chr1", "chr2"]), st.integers(0, 120)), min_size=1, max_size=8),
    st.integers(1, 12),
    st.integers(1, 6),
)
def test_no_base_is_drawn_twice_and_few_are_lost(places, positions, stride):
    intervals = pd.DataFrame(places, columns=["chrom", "start"])
    found = stretches(intervals, positions, stride, ["chr1", "chr2"])
    for chrom in ("chr1", "chr2"):
        starts = intervals["start"][intervals["chrom"] == chrom]
        covered = {base for start in starts for base in range(start, start + positions * stride)}
        own = [one for one in found if intervals["chrom"][one.sequence] == chrom]
        drawn = [
            intervals["start"][one.sequence] + stride * one.first + base
            for one in own
            for base in range(stride * (one.end - one.first))
        ]
        assert len(drawn) == len(set(drawn)) and set(drawn) <= covered
        assert drawn == sorted(drawn)
        assert len(covered) - len(drawn) <= (2 * stride - 1) * max(0, len(own) - 1)


def test_equal_sequences_are_drawn_once_and_said(caplog):
    intervals = pd.DataFrame({"chrom": ["chr1", "chr1"], "start": [5, 5]})
    assert stretches(intervals, 3, 4, ["chr1"]) == [Stretch(0, 0, 3)]
    assert "1 of 2 sequences" in caplog.text


def test_what_lies_beyond_a_chromosome_is_counted(tmp_path):
    store = store_of(tmp_path / "s", np.ones((1, 5, 3)), ("chr1", -8))
    path = tmp_path / "a.bw"
    table = write_node_tracks(Identity(), store, PLAIN, {"chr1": 10}, {0: path})
    assert records(path, "chr1") == [(0, 4, 1.0), (4, 8, 1.0)]
    assert table["dropped_off_chromosome"].tolist() == [3]


def test_a_node_that_never_fires_is_refused(tmp_path):
    store = store_of(tmp_path / "s", [[[1, 0, 0]]], ("chr1", 0))
    with pytest.raises(InputError, match="fires nowhere"):
        write_node_tracks(Identity(), store, PLAIN, {"chr1": 10}, {2: tmp_path / "c.bw"})


@pytest.mark.parametrize(("strand", "lengths"), [("-", {"chr1": 10}), ("+", {"chr2": 10})])
def test_a_store_that_does_not_fit_the_genome_is_refused(tmp_path, strand, lengths):
    store = store_of(tmp_path / "s", [[[1, 0, 0]]], ("chr1", 0), strand=strand)
    with pytest.raises(InputError, match="cannot be drawn"):
        write_node_tracks(Identity(), store, PLAIN, lengths, {0: tmp_path / "c.bw"})


def nodes_table():
    return pd.DataFrame(
        {
            "rank": pd.array([1, 2, 3], "Int64"),
            "node": pd.array([7, 0, 4], "Int64"),
            "target_name": pd.array(["GATA1", "SP1", None], "string"),
            "named": pd.array([True, False, False], "boolean"),
        }
    )


def test_nodes_are_chosen_by_rank_and_by_number():
    chosen = chosen_nodes(nodes_table(), 1, [4])
    assert chosen.to_numpy().tolist() == [[1, 7, "GATA1"], [3, 4, ""]]
    assert chosen_nodes(nodes_table(), 2, [])["label"].tolist() == ["GATA1", ""]  # a match that names nothing


@pytest.mark.parametrize(("top", "further"), [(0, []), (0, [5]), (2, [7, 5])])
def test_a_choice_of_nothing_or_of_a_node_that_was_not_kept_is_refused(top, further):
    with pytest.raises(ConfigError):
        chosen_nodes(nodes_table(), top, further)


def test_the_hub_names_its_files_and_the_session_is_xml(tmp_path):
    tracks = pd.DataFrame(
        {
            "rank": [1, 2],
            "node": [7, 0],
            "label": ["GATA1::TAL1\ntrack evil", "<&>"],
            "file": ["hg38/1_n7.bw", "hg38/2_n0.bw"],
            "max_activation": [3.5, 1.0],
        }
    )
    write_hub(tmp_path, tracks, "topk-x4-k36-lr0.002-s0", "hg38", "me@example.org")
    hub = dict(line.split(" ", 1) for line in (tmp_path / "hub.txt").read_text().splitlines())
    assert hub["genomesFile"] == "genomes.txt" and hub["email"] == "me@example.org"
    assert len(hub["shortLabel"]) <= 17 and " " not in hub["hub"]
    assert (tmp_path / "genomes.txt").read_text() == "genome hg38\ntrackDb hg38/trackDb.txt\n"
    stanzas = (tmp_path / "hg38" / "trackDb.txt").read_text().strip().split("\n\n")
    read = [dict(line.split(" ", 1) for line in stanza.splitlines()) for stanza in stanzas]
    assert [one["track"] for one in read] == ["biosae_nodes", "biosae_n7", "biosae_n0"]
    assert [one["bigDataUrl"] for one in read[1:]] == ["1_n7.bw", "2_n0.bw"]
    assert read[1]["longLabel"] == "Node 7, rank 1: GATA1::TAL1 track evil"
    assert read[1]["type"] == "bigWig 0 3.5" and read[1]["parent"] == "biosae_nodes on"
    assert not any("\ntrack " in stanza for stanza in stanzas)  # no label began a line
    session = ElementTree.parse(tmp_path / "igv_session.xml").getroot()
    assert session.get("genome") == "hg38"
    assert [one.get("path") for one in session.iter("Resource")] == ["hg38/1_n7.bw", "hg38/2_n0.bw"]
    assert [one.get("name") for one in session.iter("Track")][1] == "n0 <&>"
