"""The genome: read whole and as it is, or refused with a reason."""

from __future__ import annotations

import gzip
import os
import sys

import pytest

from biosae.errors import InputError
from biosae.genome import Genome, interval_table
from unit.helpers_seqlets import random_dna, write_genome


@pytest.fixture
def genome(tmp_path) -> Genome:
    path = write_genome(tmp_path / "genome.fa", {"chr1": random_dna(1000, 1), "chr2": random_dna(300, 2)})
    return Genome(path)


def test_missing_genome():
    with pytest.raises(InputError, match=r"genome FASTA is missing.*no\.fa"):
        Genome("no.fa")


def test_plain_gzip_is_refused(tmp_path):
    path = tmp_path / "genome.fa.gz"
    path.write_bytes(gzip.compress(b">chr1\nACGT\n"))
    with pytest.raises(InputError, match=r"compressed with gzip.*bgzip"):
        Genome(path)


def test_bgzip_is_read(tmp_path):
    from Bio import bgzf

    path = tmp_path / "genome.fa.gz"
    with bgzf.BgzfWriter(str(path)) as handle:
        handle.write(b">chr1\nACgt\nAC\n")
    assert Genome(path).letters("chr1").tobytes() == b"ACgtAC"


def test_bgzip_without_biopython(tmp_path, monkeypatch):
    path = tmp_path / "genome.fa.gz"
    path.write_bytes(gzip.compress(b">chr1\nACGT\n"))
    monkeypatch.setitem(sys.modules, "Bio", None)
    with pytest.raises(InputError, match="needs the package biopython"):
        Genome(path)


def test_index_that_cannot_be_written(tmp_path):
    path = write_genome(tmp_path / "genome.fa", {"chr1": "ACGT"})
    (tmp_path / "genome.fa.fai").mkdir()  # a folder in the way: like a read-only folder, also for root
    os.utime(path, (2e9, 2e9))
    with pytest.raises(InputError, match=r"no current index.*genome\.fa\.fai.*folder writable"):
        Genome(path)


def test_not_fasta(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text("<html>not found</html>\n")
    with pytest.raises(InputError, match="not a FASTA file"):
        Genome(path)


def test_truncated_genome(tmp_path):
    path = write_genome(tmp_path / "genome.fa", {"chr1": random_dna(500, 1)})
    Genome(path)
    path.write_text(path.read_text()[:200])
    os.utime(path, (1e9, 1e9))  # older than its index, so the index is believed
    with pytest.raises(InputError, match=r"'chr1' is shorter than its index says.*500 bases"):
        Genome(path).letters("chr1")


def test_old_index_is_built_again(tmp_path):
    path = write_genome(tmp_path / "genome.fa", {"chr1": "ACGT"})
    Genome(path)
    write_genome(path, {"chrA": "ACGTA"})
    os.utime(path, (2e9, 2e9))
    assert Genome(path).lengths == {"chrA": 5}
    assert not list(tmp_path.glob(".*.tmp"))


def test_chromosome_missing_from_the_genome(genome):
    with pytest.raises(InputError, match=r"Chromosome '1' of the activations is missing.*chr1.*same names"):
        interval_table([["chr1", 0, 50, 0, 50], ["1", 0, 50, 0, 50]], genome)


def test_interval_beyond_its_chromosome(genome):
    with pytest.raises(InputError, match=r"1 of 2 intervals.*beyond.*chr2:200-301.*inside 0-300"):
        interval_table([["chr1", 0, 50, 0, 50], ["chr2", 100, 401, 200, 301]], genome)
    # only the padding may reach beyond
    assert len(interval_table([["chr2", -50, 350, 0, 300]], genome)) == 1
