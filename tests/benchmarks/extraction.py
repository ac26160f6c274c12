"""Extraction at one layer of Borzoi: rates, time outside the model, pieces against the whole, memory.

    python tests/benchmarks/extraction.py --windows 2 --window-bp 196608
    python tests/benchmarks/extraction.py --memory-bp 524288      # peak of a process of its own
    python tests/benchmarks/extraction.py --device cuda --precision tf32 --peak-tflops 495 --windows 64

A random genome and random weights of the full width; nothing deeper than the layer runs. Time outside the
model is that from the first letter read to the finished file, less that of forward passes: of the wall, and
of CPU seconds (where --threads is 1; steadier on a machine with other work). The share of a card's peak takes
the multiply-adds of the convolutions up to the layer, twice each.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts")]

import torch  # noqa: E402  (the path comes first)

from biosae.activations import ActivationStore  # noqa: E402
from biosae.extraction import extract_files  # noqa: E402
from biosae.extraction_plan import Extraction  # noqa: E402
from biosae.extraction_store import plan_store  # noqa: E402
from biosae.genome import Genome  # noqa: E402
from biosae.geometry import BORZOI_LAYERS  # noqa: E402
from biosae.hosts.host import Host  # noqa: E402
from biosae.hosts.loading import HostSpec, load_host  # noqa: E402

SMALL = {"depth": 0, "dim": 32, "enable_human_head": False}  # the layers up to conv1d_5 are not smaller


def main() -> None:
    """Parse, measure, print."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.memory_bp and not arguments.child:
            print_memory(arguments)
            return
        windows, length = (
            (1, arguments.memory_bp) if arguments.child else (arguments.windows, arguments.window_bp)
        )
        genome, bed = write_world(folder, windows, length)
        spec = HostSpec(
            BORZOI_LAYERS[arguments.layer],
            "random:0",
            arguments=SMALL,
            device=arguments.device,
            precision=arguments.precision,
        )
        host = load_host(spec)
        if arguments.child:
            plan_store(spec, bed, genome, folder / "store", Extraction())
            extract_files(host, Genome(genome), folder / "store", piece_bp=arguments.pieces[0])
            print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
            return
        measure(folder, host, spec, (genome, bed), arguments)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layer", default="conv1d_2", choices=sorted(BORZOI_LAYERS))
    parser.add_argument("--windows", type=int, default=2)
    parser.add_argument("--window-bp", type=int, default=196_608)
    parser.add_argument("--pieces", type=int, nargs="+", default=[32_768], help="bases at once")
    parser.add_argument("--memory-bp", type=int, help="measure the peak memory of one window of this length")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--precision", default="float32", choices=("float32", "tf32", "bfloat16"))
    parser.add_argument("--peak-tflops", type=float, help="of the card, for the share of its peak")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def write_world(folder: Path, windows: int, length: int) -> tuple[Path, Path]:
    """A random genome of one chromosome, and its windows side by side."""
    letters = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), windows * length)
    text = letters.tobytes().decode()
    lines = "\n".join(text[at : at + 80] for at in range(0, len(text), 80))
    (folder / "genome.fa").write_text(f">chr1\n{lines}\n")
    places = [f"chr1\t{number * length}\t{(number + 1) * length}\n" for number in range(windows)]
    (folder / "windows.bed").write_text("".join(places))
    return folder / "genome.fa", folder / "windows.bed"


def measure(
    folder: Path, host: Host, spec: HostSpec, world: tuple[Path, Path], arguments: argparse.Namespace
) -> None:
    """Extract with each length of a piece, and compare the stores in float32 with that of whole windows."""
    genome, bed = world
    spent = Spent(host)
    bases = arguments.windows * arguments.window_bp
    for piece in arguments.pieces:
        output = folder / f"half_{piece}"
        plan_store(spec, bed, genome, output, Extraction())
        spent.seconds = spent.cpu_seconds = 0.0
        began, cpu = time.perf_counter(), time.process_time()
        extract_files(host, Genome(genome), output, piece_bp=piece)
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        flops = 2 * multiply_adds(host) * arguments.windows * arguments.window_bp / wall
        share = (
            f", {100 * flops / arguments.peak_tflops / 1e12:.1f} % of peak" if arguments.peak_tflops else ""
        )
        outside, own = 100 * (1 - spent.seconds / wall), 100 * (1 - spent.cpu_seconds / cpu)
        rates = (
            f"{bases / wall:,.0f} bases/s, {bases / cpu:,.0f} a CPU second, {arguments.windows / wall:.3g}"
        )
        print(
            f"{arguments.layer}, pieces of {piece} bp: {rates} windows/s, {flops / 1e9:,.0f} GFLOP/s{share};"
        )
        print(f"  outside the model {outside:.1f} % of the wall time, {own:.1f} % of CPU seconds")
    compare(folder, host, spec, world, arguments)


def compare(
    folder: Path, host: Host, spec: HostSpec, world: tuple[Path, Path], arguments: argparse.Namespace
) -> None:
    """Largest difference of pieces to whole windows, in float32, absolute and over the largest activation."""
    genome, bed = world
    stores = {}
    for piece in (None, *arguments.pieces):
        output = folder / f"single_{piece}"
        plan_store(spec, bed, genome, output, Extraction(dtype="float32"))
        extract_files(host, Genome(genome), output, piece_bp=piece)
        stores[piece] = ActivationStore.open(output).read(0, arguments.window_bp // host.stride_bp)
    largest = np.abs(stores[None]).max()
    for piece in arguments.pieces:
        worst = np.abs(stores[piece] - stores[None]).max()
        print(f"pieces of {piece} bp differ from the whole by {worst:.2g} at most (of {largest:.3g})")


class Spent:
    """Adds up the wall time, and the CPU time of the calling thread, of a host's forward passes.

    Args:
        host: whose ``activations`` is timed from now on.
    """

    def __init__(self, host: Host) -> None:
        self.seconds, self.cpu_seconds = 0.0, 0.0
        self._run, self._host = host.activations, host
        host.activations = self.timed

    def timed(self, onehot: torch.Tensor) -> torch.Tensor:
        """``Host.activations``, timed; waits for a GPU."""
        began, cpu = time.perf_counter(), time.thread_time()
        found = self._run(onehot)
        if self._host.device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds += time.perf_counter() - began
        self.cpu_seconds += time.thread_time() - cpu
        return found


def multiply_adds(host: Host) -> float:
    """Multiply-adds a base of the convolutions up to the layer that is read, counted in a pass."""
    length, counted, handles = 4096, [0], []

    def count(module: torch.nn.Module, _inputs: tuple, output: torch.Tensor) -> None:
        counted[0] += output.numel() * module.weight[0].numel()

    for module in host.module.modules():
        if isinstance(module, torch.nn.Conv1d):
            handles.append(module.register_forward_hook(count))
    host.activations(torch.zeros(1, 4, length))
    for handle in handles:
        handle.remove()
    return counted[0] / length


def print_memory(arguments: argparse.Namespace) -> None:
    """Peak memory of a process that extracts one long window."""
    command = [sys.executable, __file__, "--child", "--memory-bp", str(arguments.memory_bp)]
    command += ["--layer", arguments.layer, "--threads", str(arguments.threads)]
    for piece in arguments.pieces:
        done = subprocess.run([*command, "--pieces", str(piece)], capture_output=True, text=True, check=True)
        peak = json.loads(done.stdout.splitlines()[-1])["peak_mb"]
        print(
            f"{arguments.layer}, one window of {arguments.memory_bp} bp, pieces of {piece} bp: {peak:,.0f} MB"
        )


if __name__ == "__main__":
    main()
