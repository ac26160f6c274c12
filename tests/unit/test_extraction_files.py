"""Files of an extraction: kept, refused, resumed; what their description says."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from helpers_extraction import INTERVALS, extract, made_world, rows
from helpers_hosts import LAYERS, TINY, Attending, Unpadded, asked, tiny_host
from helpers_store import write_files

from biosae.activations import ActivationStore
from biosae.encoding import encode_store
from biosae.errors import ConfigError, ContractError, InputError
from biosae.extraction import extract_files
from biosae.extraction_store import plan_store
from biosae.genome import Genome
from biosae.geometry import Layer
from biosae.hosts.host import Host
from biosae.hosts.loading import load_host
from biosae.hosts.onehot import encode


@pytest.fixture
def world(tmp_path):
    """A genome and a BED of five windows."""
    return made_world(tmp_path)


def test_what_is_finished_is_kept_and_a_half_file_is_none(world, tmp_path):
    genome, bed = world
    folder = tmp_path / "s"
    plan_store(TINY, bed, genome, folder, asked(files=3))
    host, calls = load_host(TINY), []
    real = host.activations

    def fails_in_the_second_file(onehot):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(onehot)

    host.activations = fails_in_the_second_file
    with pytest.raises(KeyboardInterrupt):
        extract_files(host, Genome(genome), folder)
    assert [path.name for path in folder.glob("*.h5")] == ["activations_0.h5"]
    kept = (folder / "activations_0.h5").stat().st_mtime_ns
    calls.clear()
    extract_files(host := load_host(TINY), Genome(genome), folder)
    assert (folder / "activations_0.h5").stat().st_mtime_ns == kept
    whole = extract(world, tmp_path / "whole")
    assert np.abs(rows(ActivationStore.open(folder)) - rows(whole)).max() <= 1e-6


def test_what_a_killed_job_left_goes_and_what_others_write_stays(world, tmp_path):
    folder = tmp_path / "s"
    plan_store(TINY, world[1], world[0], folder, asked(files=2))
    dead = 2**22 + 1  # above the largest process number of Linux
    for name in (f".activations_0.h5.{dead}.tmp", f".activations_1.h5.{dead}.tmp"):
        (folder / name).touch()
    extract_files(load_host(TINY), Genome(world[0]), folder, [0])
    assert [path.name for path in folder.glob(".*.tmp")] == [f".activations_1.h5.{dead}.tmp"]


def test_one_file_is_written_alone(world, tmp_path):
    genome, bed = world
    plan_store(TINY, bed, genome, tmp_path / "s", asked(files=3))
    extract_files(load_host(TINY), Genome(genome), tmp_path / "s", [1])
    assert [path.name for path in (tmp_path / "s").glob("*.h5")] == ["activations_1.h5"]
    with pytest.raises(InputError, match="no such file"):
        extract_files(load_host(TINY), Genome(genome), tmp_path / "s", [3])


def test_a_file_of_another_plan_is_refused(world, tmp_path):
    extract(world, tmp_path / "s", asked(files=2))
    with pytest.raises(InputError, match="made by another plan"):
        extract(world, tmp_path / "s", asked(files=2, context_bp=4))


def test_files_that_a_smaller_plan_has_not_are_refused(world, tmp_path):
    extract(world, tmp_path / "s", asked(files=3))
    with pytest.raises(InputError, match=r"activations_2\.h5"):
        plan_store(TINY, world[1], world[0], tmp_path / "s", asked(files=2))


@pytest.mark.parametrize("change", [{"weights": "random:2"}, {"precision": "bfloat16"}])
def test_another_model_than_the_planned_one_is_refused(world, tmp_path, change):
    plan_store(TINY, world[1], world[0], tmp_path / "s", asked())
    with pytest.raises(ContractError, match="not the one that this store was planned with"):
        extract_files(load_host(replace(TINY, **change)), Genome(world[0]), tmp_path / "s")


def test_a_folder_without_a_plan_is_refused(world, tmp_path):
    with pytest.raises(InputError, match="has no plan"):
        extract_files(tiny_host(), Genome(world[0]), tmp_path)


def test_the_description_says_what_made_the_store(world, tmp_path):
    extract(world, tmp_path / "s", asked(context_bp=8, assembly="toy", files=2))
    told = json.loads((tmp_path / "s" / "store.json").read_text())
    assert told["weights"]["source"] == "random:1" and len(told["weights"]["sha256"]) == 64
    assert told["layer"] == {**LAYERS["tower.3"].as_dict()}
    assert told["geometry"] == {
        "claimed": {"stride_bp": 4, "left_bp": 11, "right_bp": 15},
        "measured": {"stride_bp": 4, "left_bp": 11, "right_bp": 15, "whole_window": False},
    }
    assert told["window"] == {
        "input_bp": 656, "core_bp": 640, "context_bp": 8, "keep": "core", "positions": 160,
    }  # fmt: skip
    assert (told["assembly"], told["dtype"], told["files"], told["module"]) == (
        "toy",
        "float32",
        2,
        "tower.3",
    )
    assert told["counts"]["beyond"] == 1 and told["counts"]["beyond_bases"] == 8
    assert str(tmp_path) not in json.dumps(told)
    with pytest.raises(InputError, match=r"store\.json contradicts"):
        ActivationStore.open(tmp_path / "s", layer="conv1d_2")


def test_a_wrong_geometry_is_refused_before_anything_is_written(world, tmp_path):
    wrong = replace(TINY, layer=Layer("tower.3", "tower.3", 6, 4, 10, 15))
    with pytest.raises(InputError, match="not what its gradient shows"):
        plan_store(wrong, world[1], world[0], tmp_path / "s", asked())
    assert not (tmp_path / "s").exists()


def test_a_network_without_padding_needs_context(world, tmp_path):
    torch.manual_seed(0)
    host = Host(Unpadded(), Layer("only", "only", 3, 2, 0, 6))
    spec = replace(TINY, layer=host.layer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("biosae.extraction_store.load_host", lambda _: host)
        for name, context in (("none", 0), ("some", 6)):
            plan_store(spec, world[1], world[0], tmp_path / name, asked(context_bp=context))
    with pytest.raises(ContractError, match="fewer positions"):
        extract_files(host, Genome(world[0]), tmp_path / "none")
    extract_files(host, Genome(world[0]), tmp_path / "some", piece_bp=50)
    found = rows(ActivationStore.open(tmp_path / "some", stride_bp=2))[0]
    onehot = encode(Genome(world[0]).segment("chr1", 194, 846))
    whole = host.activations(torch.from_numpy(onehot))[0].numpy()
    assert np.abs(found - whole[3 : 3 + 320]).max() <= 1e-6


def test_a_layer_that_reads_everything_is_extracted_whole(world, tmp_path, caplog):
    torch.manual_seed(0)
    host = Host(Attending(), Layer("last", "last", 5, 4, 0, 4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("biosae.extraction_store.load_host", lambda _: host)
        plan_store(replace(TINY, layer=host.layer), world[1], world[0], tmp_path / "s", asked())
    assert "reads the whole input" in caplog.text
    extract_files(host, Genome(world[0]), tmp_path / "s", piece_bp=16)
    onehot = torch.from_numpy(encode(Genome(world[0]).segment(*INTERVALS[0])))
    found = rows(ActivationStore.open(tmp_path / "s"))[0]
    assert np.abs(found - host.activations(onehot)[0].numpy()).max() <= 1e-6


def test_nodes_are_not_read_from_reverse_strands(tmp_path):
    class Model:
        n_nodes, channels = 2, 3

    write_files(tmp_path, [np.zeros((1, 8, 3), np.float32)])
    (tmp_path / "intervals.tsv").write_text("chrom\tstart\tend\tfile\trow\tstrand\nchr1\t0\t32\t0\t0\t-\n")
    store = ActivationStore.open(tmp_path)
    assert store.intervals["strand"].tolist() == ["-"]
    with pytest.raises(InputError, match="read from forward strands"):
        encode_store(Model(), store, 1, 1)


def test_a_store_without_strands_is_forward(tmp_path):
    write_files(tmp_path, [np.zeros((1, 8, 3), np.float32)])
    (tmp_path / "intervals.tsv").write_text("chrom\tstart\tend\tfile\trow\nchr1\t0\t32\t0\t0\n")
    assert ActivationStore.open(tmp_path).intervals["strand"].tolist() == ["+"]
    (tmp_path / "intervals.tsv").write_text("chrom\tstart\tend\tfile\trow\tstrand\nchr1\t0\t32\t0\t0\t?\n")
    with pytest.raises(InputError, match="neither"):
        ActivationStore.open(tmp_path)


def test_a_block_longer_than_an_interval_is_refused(world, tmp_path):
    with pytest.raises(ConfigError, match="longer than what is kept"):
        plan_store(TINY, world[1], world[0], tmp_path / "s", asked(subsample_share=0.5, subsample_block=161))


def test_files_lie_contiguous_and_little_endian(world, tmp_path):
    extract(world, tmp_path / "s", asked(dtype="float16"))
    with h5py.File(tmp_path / "s" / "activations_0.h5") as handle:
        data = handle["activations"]
        assert data.chunks is None and data.dtype == np.dtype("<f2")
