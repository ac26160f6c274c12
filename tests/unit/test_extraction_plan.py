"""Planning an extraction: every fault of intervals, counted and at once; N runs; the programs."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers_hosts import LAYERS, OPTIONS, TINY, asked, write_bed, write_genome

from biosae.activations import ActivationStore
from biosae.errors import ConfigError, InputError
from biosae.extraction_plan import asked_of, count_unknown, plan_windows, read_bed
from biosae.extraction_store import plan_store
from biosae.genome import Genome

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def windows(tmp_path, *intervals, **changes):
    genome, bed = Genome(write_genome(tmp_path)), write_bed(tmp_path, *intervals)
    return plan_windows(read_bed(bed), asked(**changes), LAYERS["tower.3"], genome, bed)


def test_a_bed_is_read_with_its_comments_and_further_columns(tmp_path):
    path = tmp_path / "x.bed"
    path.write_text("track name=x\n#chr\tstart\tend\nchr1\t10\t20\tname\t0\t-\n\nchr2\t0\t5\n")
    assert read_bed(path).to_numpy().tolist() == [["chr1", 10, 20], ["chr2", 0, 5]]


@pytest.mark.parametrize(
    "line", ["chr1 10 20", "chr1\t10", "chrom\tstart\tend", "chr1\t-5\t20", "chr1\t1.5\t20"]
)
def test_a_line_that_is_no_bed_is_named(tmp_path, line):
    path = tmp_path / "x.bed"
    path.write_text(f"chr1\t0\t8\n{line}\n")
    with pytest.raises(InputError, match="line 2"):
        read_bed(path)


def test_a_bed_without_intervals_is_refused(tmp_path):
    (tmp_path / "x.bed").write_text("#nothing\n")
    with pytest.raises(InputError, match="holds none"):
        read_bed(tmp_path / "x.bed")


@pytest.mark.parametrize(
    ("interval", "fault"),
    [
        (("chr9", 0, 640), "1 of 3 intervals lie on a chromosome that the genome lacks: chr9"),
        (("chr1", 2400, 3040), "1 of 3 intervals reach beyond their chromosome, of 3000 bp"),
        (("chr1", 100, 120), "1 of 3 intervals are shorter than the 26 bp of a receptive field"),
        (("chr1", 100, 742), "1 of 3 intervals are not a multiple of the stride of 4 bp"),
        (("chr1", 100, 744), "1 of 3 intervals differ in length from the others, of 640 bp"),
        (("chr1", 100, 100), "shorter than"),
    ],
)
def test_a_fault_of_an_interval_is_counted_and_named(tmp_path, interval, fault):
    with pytest.raises(InputError) as caught:
        windows(tmp_path, ("chr1", 0, 640), ("chr2", 8, 648), interval)
    message = str(caught.value)
    assert fault in message
    assert f"the first {interval[0]}:{interval[1]}-{interval[2]}" in message


def test_all_faults_are_said_at_once(tmp_path):
    with pytest.raises(InputError) as caught:
        windows(tmp_path, ("chr9", 0, 640), ("chr1", 2999, 3639), ("chr1", 0, 22), files=7, context_bp=2)
    message = str(caught.value)
    for part in (
        "lacks",
        "beyond",
        "multiple of the stride",
        "differ in length",
        "7 files",
        "context of 2 bp",
    ):
        assert part in message


def test_context_may_reach_beyond_a_chromosome_but_not_an_interval(tmp_path):
    table = windows(tmp_path, ("chr1", 0, 640), context_bp=64)
    assert table[["start", "end"]].to_numpy().tolist() == [[-64, 704]]


def test_letters_that_are_no_bases_are_counted(tmp_path, caplog):
    genome = tmp_path / "genome.fa"
    genome.write_text(">chr1\n" + "ACGT" * 25 + "N" * 40 + "R" * 4 + "acgt" * 64 + "\n")
    bed = write_bed(tmp_path, ("chr1", 96, 224), ("chr1", 200, 328))
    table = plan_windows(read_bed(bed), asked(context_bp=8), LAYERS["tower.3"], Genome(genome), bed)
    counts = count_unknown(table, Genome(genome))
    assert (counts["intervals"], counts["with_n"], counts["n_bases"], counts["core_bases"]) == (2, 1, 44, 44)
    assert (counts["worst"], counts["worst_share"], counts["beyond"]) == ("chr1:96-224", 44 / 144, 0)
    plan_store(TINY, bed, genome, tmp_path / "s", asked(context_bp=8))
    assert "1 of 2 windows hold letters that are not A, C, G or T: 44 of 288 bases" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        {"keep": "all"},
        {"strand": "-"},
        {"dtype": "bfloat16"},
        {"files": 0},
        {"context_bp": -4},
        {"subsample_share": 0.0},
        {"subsample_share": 1.5},
        {"subsample_share": 0.5, "keep": "window", "context_bp": 8},
    ],
)
def test_what_makes_no_sense_is_refused(change):
    with pytest.raises(ConfigError):
        asked_of({**asked().__dict__, **change})


def run(program, *words, cwd):
    command = [sys.executable, str(SCRIPTS / program), *map(str, words)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_programs_make_a_store_of_a_model_of_ones_own(tmp_path):
    genome, bed = write_genome(tmp_path), write_bed(tmp_path, ("chr1", 0, 640), ("chr2", 8, 648))
    shared = ["--genome", genome, "--output", "store", *OPTIONS]
    done = run("plan_extraction.py", "--intervals", bed, "--files", 2, *shared, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run("extract_activations.py", "--piece-bp", 200, *shared, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "of the time outside the model" in done.stderr
    store = ActivationStore.open(tmp_path / "store", 0, 6, 4, "tower.3")
    assert (store.n_sequences, len(store.files), store.dtype) == (2, 2, "float16")
    again = run("extract_activations.py", *shared, cwd=tmp_path)
    assert again.returncode == 0 and "0 files to write, 2 are there already" in again.stderr


def test_a_user_error_is_one_paragraph_and_exit_2(tmp_path):
    genome, bed = write_genome(tmp_path), write_bed(tmp_path, ("chr7", 0, 640))
    words = ["--intervals", bed, "--genome", genome, "--output", "store", *OPTIONS]
    done = run("plan_extraction.py", *words, cwd=tmp_path)
    assert done.returncode == 2 and "chr7" in done.stderr and "Traceback" not in done.stderr
    done = run("plan_extraction.py", *words, "--arguments", "depth=0", cwd=tmp_path)
    assert done.returncode == 2 and "no JSON object" in done.stderr
