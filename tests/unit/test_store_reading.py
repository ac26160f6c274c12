"""Reading files: with and without HDF5, several threads, byte orders, files that change."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from biosae.activations import ActivationStore
from biosae.errors import InputError
from biosae.store_types import all_finite, is_bfloat16, torch_view
from unit.helpers_store import as_float32, bfloat16_bits, random_arrays, rows_of, write_store

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def stream(store: ActivationStore) -> np.ndarray:
    return np.concatenate([slab for _, slab in store.slabs(17)])


def rewrite(folder: Path, make) -> ActivationStore:
    """Open the store after ``make(handle)`` has written its only file anew."""
    with h5py.File(folder / "activations_0.h5", "w") as handle:
        make(handle)
    return ActivationStore.open(folder)


@pytest.mark.parametrize(
    ("options", "direct"),
    [({}, True), ({"chunks": (1, 16, 6)}, False), ({"chunks": (2, 9, 4), "compression": "gzip"}, False)],
)
@pytest.mark.parametrize("dtype", [np.float16, np.uint16, np.float32, np.float64])
def test_every_layout_and_type_gives_the_same_bits(tmp_path, dtype, options, direct):
    arrays = random_arrays([3, 2], dtype=dtype)
    store = ActivationStore.open(write_store(tmp_path / "s", arrays, **options))
    assert store.direct is direct and store.dtype == {np.uint16: "bfloat16"}.get(dtype, np.dtype(dtype).name)
    np.testing.assert_array_equal(stream(store), rows_of(arrays))
    raw = np.empty((20, 6), store.raw_dtype)
    store.read_into(3, 11, raw)
    assert raw.tobytes() == arrays[1][0, 11:31].tobytes()


@pytest.mark.parametrize("dtype", [">f2", ">f4", ">f8"])
def test_the_other_byte_order_is_read_right(tmp_path, dtype):
    arrays = random_arrays([2])
    folder = write_store(tmp_path / "s", arrays)
    store = rewrite(folder, lambda handle: handle.create_dataset("x", data=arrays[0].astype(dtype)))
    assert not store.direct
    np.testing.assert_array_equal(stream(store), rows_of([arrays[0].astype(dtype)]))


def test_files_that_begin_elsewhere_or_lie_elsewhere(tmp_path):
    arrays = random_arrays([2])
    folder = write_store(tmp_path / "s", arrays)
    with h5py.File(folder / "activations_0.h5", "w", userblock_size=1024) as handle:
        handle["x"] = arrays[0]
    store = ActivationStore.open(folder)
    assert store.direct
    np.testing.assert_array_equal(stream(store), rows_of(arrays))
    arrays[0].tofile(tmp_path / "numbers.bin")
    where = [(str(tmp_path / "numbers.bin"), 0, arrays[0].nbytes)]
    store = rewrite(folder, lambda handle: handle.create_dataset("x", (2, 50, 6), "f4", external=where))
    assert not store.direct
    np.testing.assert_array_equal(stream(store), rows_of(arrays))


def refused(folder: Path, make, *parts: str) -> None:
    """Opening must fail for the file that ``make(handle)`` writes, with a message that holds ``parts``."""
    with pytest.raises(InputError, match="would be read as zeros") as caught:
        rewrite(folder, make)
    for part in ("activations_0.h5, dataset '/x'", "extract this file again", *parts):
        assert part in str(caught.value)


def test_datasets_that_were_never_written_are_refused(tmp_path):
    arrays = random_arrays([2])
    folder = write_store(tmp_path / "s", arrays)
    refused(folder, lambda handle: handle.create_dataset("x", (2, 50, 6), "f4"), "never written")
    for options in ({}, {"compression": "gzip"}):

        def half(handle: h5py.File, options=options) -> None:
            handle.create_dataset("x", (2, 50, 6), "f4", chunks=(1, 20, 6), **options)[0] = arrays[0][0]

        refused(folder, half, "3 of 6 chunks written")

    def whole(handle: h5py.File) -> None:
        handle.create_dataset("x", (2, 50, 6), "f4", chunks=(1, 20, 6), maxshape=(None, 50, 6))[:] = arrays[0]

    np.testing.assert_array_equal(stream(rewrite(folder, whole)), rows_of(arrays))


def test_a_virtual_dataset_needs_all_its_sources(tmp_path):
    arrays = random_arrays([2])
    folder, other = write_store(tmp_path / "s", arrays), tmp_path / "s" / "other.h5"

    def write_source(array: np.ndarray, **options) -> None:
        with h5py.File(other, "w") as handle:
            handle.create_dataset("y", array.shape, "f4", **options)[:] = array

    def virtual(handle: h5py.File, name: str = "other.h5", rows: int = 2) -> None:
        layout = h5py.VirtualLayout((2, 50, 6), "f4")
        layout[:rows] = h5py.VirtualSource(name, "y", (2, 50, 6))[:rows]
        handle.create_virtual_dataset("x", layout)

    write_source(arrays[0])
    for name in ("other.h5", str(other)):
        store = rewrite(folder, lambda handle, name=name: virtual(handle, name))
        np.testing.assert_array_equal(stream(store), rows_of(arrays))
        store.close()
    refused(folder, lambda handle: virtual(handle, rows=1), "sources for 300 of 600 numbers")
    write_source(arrays[0][:1])
    refused(folder, virtual, "other.h5: shape (1, 50, 6)")
    with h5py.File(other, "w") as handle:
        handle.create_dataset("y", (2, 50, 6), "f4")
    refused(folder, virtual, "'y' in other.h5: a dataset that was never written")
    other.unlink()
    refused(folder, virtual, "its source 'y' in other.h5 cannot be read")


@pytest.mark.parametrize("limit_bytes", [100, 3000, 20_000])
@pytest.mark.parametrize(
    "options", [{}, {"chunks": (1, 50, 6)}, {"chunks": (1, 50, 6), "compression": "gzip"}]
)
def test_a_full_disk_is_named_and_the_process_lives_on(tmp_path, limit_bytes, options):
    """HDF5 alone ends the process some time after a file could not be closed."""
    code = (
        "import resource, sys, h5py, numpy as np\n"
        "from pathlib import Path\n"
        "from biosae.errors import InputError\n"
        "from biosae.store_files import new_hdf5\n"
        "most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, most))\n"
        "path = Path(sys.argv[1])\n"
        "try:\n"
        "    with new_hdf5(path, 'wanted.h5') as handle:\n"
        f"        data = handle.create_dataset('x', (40, 50, 6), 'f8', **{options})\n"
        "        for i in range(40):\n"
        "            data[i] = np.random.rand(50, 6)\n"
        "except InputError as error:\n"
        "    print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))\n"
        "with new_hdf5(path, 'again.h5') as handle:\n"
        "    handle['x'] = 1\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "made.h5")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=SCRIPTS)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert "wanted.h5" in done.stdout and "finished files are kept" in done.stdout


def test_bfloat16_is_a_type_that_any_hdf5_tool_understands(tmp_path):
    numbers = np.array([1.0, -2.5, 3.140625, 1e-38, 3e38, 0.0], np.float32).reshape(1, 1, 6)
    folder = write_store(tmp_path / "s", [bfloat16_bits(numbers)])
    with h5py.File(folder / "activations_0.h5") as handle:
        assert is_bfloat16(handle["x"].id.get_type())
        np.testing.assert_array_equal(handle["x"][()], as_float32(bfloat16_bits(numbers)))
    raw = np.empty((1, 6), np.uint16)
    ActivationStore.open(folder).read_into(0, 0, raw)
    assert str(torch_view(raw).dtype) == "torch.bfloat16"
    np.testing.assert_array_equal(torch_view(raw).float().numpy(), as_float32(bfloat16_bits(numbers))[0])


def test_many_threads_and_more_files_than_are_kept_open(tmp_path):
    arrays = random_arrays([1] * 80, positions=4)
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    rows = rows_of(arrays)

    def right(sequence: int) -> bool:
        return bool((store.read(sequence * 4, 4) == rows[sequence * 4 : sequence * 4 + 4]).all())

    order = np.random.default_rng(0).integers(0, 80, 2000).tolist()
    with ThreadPoolExecutor(8) as executor:
        assert all(executor.map(right, order))
    assert len(store._pool._open) <= 32 + 8
    store.close()
    assert not store._pool._open and right(5)


@pytest.mark.parametrize("options", [{}, {"chunks": (1, 50, 6)}])
@pytest.mark.parametrize("opened", [False, True])
def test_file_cut_short_after_the_store_was_opened(tmp_path, opened, options):
    store = ActivationStore.open(write_store(tmp_path / "s", random_arrays([2, 4]), **options))
    if opened and not options:  # what HDF5 holds open of a file that is cut short is its own affair
        store.read(0, 50), store.read(100, 50)
    path = store.files[1]
    path.write_bytes(path.read_bytes()[:-1500])
    store.read(0, 50)
    with pytest.raises(InputError, match=r"truncated.*activations_1\.h5, dataset '/x', row 3"):
        store.read(250, 50)


def test_file_that_vanished_is_named(tmp_path):
    store = ActivationStore.open(write_store(tmp_path / "s", random_arrays([2])))
    store.files[0].unlink()
    with pytest.raises(InputError, match=r"activations_0\.h5, dataset '/x', row 1"):
        store.read(50, 10)


def test_buffers_that_do_not_fit_are_refused(tmp_path):
    store = ActivationStore.open(write_store(tmp_path / "s", random_arrays([2], dtype=np.float16)))
    for wrong in (
        np.empty((5, 6), np.float32),
        np.empty((5, 7), np.float16),
        np.empty((5, 12), "f2")[:, ::2],
    ):
        with pytest.raises(TypeError, match="buffer"):
            store.read_into(0, 0, wrong)


@pytest.mark.parametrize("dtype", [np.float16, np.uint16, np.float32])
def test_finite_for_every_code_of_the_upper_half(dtype):
    codes = np.arange(2**16, dtype=np.uint16)
    block = codes.view(np.float16) if dtype is np.float16 else codes
    if dtype is np.float32:
        block = (codes.astype(np.uint32) << 16).view(np.float32)
    finite = np.isfinite(as_float32(block))
    assert all_finite(block[finite]) and not finite.all()
    assert not any(all_finite(np.array([block[0], value], block.dtype)) for value in block[~finite])
