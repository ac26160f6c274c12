"""The training step on a GPU: positions a second, share of the card's bf16 matrix peak, and what it learns.

    PYTHONPATH=scripts python tests/benchmarks/gpu_step.py
    PYTHONPATH=scripts python tests/benchmarks/gpu_step.py --device cpu --rows 256 --train-steps 5

Prints "no CUDA device" and ends well where there is none. All contenders hold the same batch on the card and
take one optimiser step each, in turn; synchronised before and after ``--inner`` steps; median of the rounds.
The peak is measured first, with a square bf16 product. For each size:

    positions/s        batch / median time of a step
    share of peak      (2 d n + 8 d k) x positions/s / peak, d channels, n nodes: the operations that a sparse
                       step cannot avoid, for all contenders alike, whatever else they compute
    FVU                held-out, after --train-steps steps on the same batches at the same constant learning
                       rate; biosae and the published step start from the same weights, peers from their own
    peak memory        of the card above what was held before the contender was built, during those steps
"""

from __future__ import annotations

import argparse
import gc
import time

import contenders
import peers
import torch
from contenders import Batch, Contender, Size, Unavailable
from planted_activations import PlantedActivations, mean_and_std
from step_gates import as_batch

NAMES = ("published", "biosae fp32", "biosae bf16", "eai-sparsify, Adam", "eai-sparsify")
POOL = 16  # batches that the training goes round
CONSTANT = {"warmup_share": 0.0, "decay_share": 0.0}


def arguments_of(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    sizes = ["736:2944:36", "608:4864:64", "1056:33792:64"]
    add("--sizes", nargs="+", default=sizes, help=f"channels:nodes:k ... (default {' '.join(sizes)})")
    add("--device", default="cuda", choices=("cuda", "cpu"))
    add("--rows", type=int, default=32768, help="positions of a batch (default 32,768)")
    add("--rounds", type=int, default=7, help="timed rounds (default 7)")
    add("--warm-up", type=int, default=3, help="rounds before them (default 3)")
    add("--inner", type=int, default=5, help="steps between two synchronisations (default 5)")
    add("--train-steps", type=int, default=100, help="before the FVU; 0: no training (default 100)")
    add("--learning-rate", type=float, default=1e-3, help="of that training (default 1e-3)")
    add("--contenders", nargs="+", default=list(NAMES), choices=NAMES, metavar="NAME", help=f"of {NAMES}")
    add("--peak-size", type=int, default=8192, help="side of the bf16 product (default 8192)")
    add("--tf32", action="store_true", help="let float32 products use TF32 (changes what fp32 means)")
    return parser.parse_args(argv)


def synchronise(device: str) -> None:
    """Wait for the card."""
    if device == "cuda":
        torch.cuda.synchronize()


def matrix_peak(device: str, side: int) -> float:
    """Operations a second of a square bf16 product, the best of five timings of several products."""
    left, right = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))
    out = torch.empty_like(left)
    count = 20 if device == "cuda" else 1
    best = float("inf")
    for _ in range(6):
        synchronise(device)
        started = time.perf_counter()
        for _ in range(count):
            torch.mm(left, right, out=out)
        synchronise(device)
        best = min(best, (time.perf_counter() - started) / count)
    return 2 * side**3 / best


def build(name: str, size: Size, batch: Batch, normaliser, learning_rate: float) -> Contender:
    """A contender at a constant learning rate; Unavailable if it cannot run here."""
    changes = {"learning_rate": learning_rate, **CONSTANT}
    if name == "published":
        start, _ = contenders.new_biosae(size, normaliser, "float32", **changes)
        return contenders.build_published(size, batch, False, learning_rate, like=start)
    if name.startswith("biosae"):
        precision = "bfloat16" if name.endswith("bf16") else "float32"
        return contenders.build_biosae(size, batch, normaliser, precision, **changes)
    optimiser, rate = ("adam", learning_rate) if name.endswith("Adam") else ("signum", None)
    try:
        peer = peers.build_sparsify(batch.u, size.n_nodes, size.k, optimiser, rate)
    except ImportError as error:
        raise Unavailable(f"not installed ({error})") from error
    return contenders.as_contender(peer)


def time_steps(arguments, built: dict[str, Contender], batch: Batch) -> dict[str, float]:
    """Median seconds of one step."""

    def job(contender: Contender):
        def run() -> None:
            for _ in range(arguments.inner):
                contender.step(batch)
            synchronise(arguments.device)

        return run

    jobs = {name: job(contender) for name, contender in built.items()}
    synchronise(arguments.device)
    seconds = contenders.interleaved(jobs, arguments.rounds, arguments.warm_up, time.perf_counter)
    return {name: value / arguments.inner for name, value in seconds.items()}


def build_all(arguments, size: Size, batch: Batch, normaliser) -> dict[str, Contender]:
    """The contenders that can take a step here; the reason of each other one is printed."""
    built = {}
    for name in arguments.contenders:
        try:
            contender = build(name, size, batch, normaliser, arguments.learning_rate)
            contender.step(batch)
            built[name] = contender
        except Unavailable as error:
            print(f"(skipped {name}: {error})\n")
        except torch.OutOfMemoryError:
            print(f"(skipped {name}: not enough memory on the card for {arguments.rows:,} positions)\n")
    return built


def train(arguments, name: str, size: Size, normaliser, batches: list[Batch]) -> tuple[float, str]:
    """(held-out FVU, MiB of the card) of one contender trained by itself; the last batch is held out."""
    on_card = arguments.device == "cuda"
    if on_card:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    *batches, held_out = batches
    contender = build(name, size, batches[0], normaliser, arguments.learning_rate)
    for number in range(arguments.train_steps):
        contender.step(batches[number % len(batches)])
    memory = f"{(torch.cuda.max_memory_allocated() - before) / 2**20:,.0f}" if on_card else ""
    return contenders.fvu(contender, held_out), memory


def print_size(arguments, size: Size, peak: float) -> None:
    """One size's table."""
    print(f"### {size}\n")
    planted = PlantedActivations(size.channels, 2 * size.channels)
    normaliser = mean_and_std(planted.rows(8192, first_number=1))
    batch = as_batch(planted.rows(arguments.rows), normaliser, arguments.device)
    built = build_all(arguments, size, batch, normaliser)
    seconds = time_steps(arguments, built, batch)
    notes = {name: contender.note for name, contender in built.items()}
    built.clear()
    print("| contender | positions/s | ratio | share of peak | FVU | peak MiB | what ran |")
    print(f"|{'---|' * 7}")
    numbers = [*range(1000, 1000 * (POOL + 1), 1000), 10**6] if arguments.train_steps else []
    pool = [as_batch(planted.rows(arguments.rows, n), normaliser, arguments.device) for n in numbers]
    needed = 2 * size.channels * size.n_nodes + 8 * size.channels * size.k
    for name, value in seconds.items():
        speed = arguments.rows / value
        ratio = f"{seconds['published'] / value:.2f}" if "published" in seconds else ""
        cells = [name, f"{speed:,.0f}", ratio, f"{speed * needed / peak:.1%}", "", "", notes[name]]
        if arguments.train_steps:
            reached, memory = train(arguments, name, size, normaliser, pool)
            cells[4:6] = [f"{reached:.4f}", memory]
        print(f"| {' | '.join(cells)} |", flush=True)
    print()


def main() -> None:
    """Measure and print."""
    arguments = arguments_of()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device")
        return
    torch.backends.cuda.matmul.allow_tf32 = arguments.tf32
    contenders.set_threads(torch.get_num_threads())
    card = torch.cuda.get_device_name() if arguments.device == "cuda" else "CPU"
    peak = matrix_peak(arguments.device, arguments.peak_size if arguments.device == "cuda" else 1024)
    print(f"{card}; {peers.versions()}; bf16 matrix peak {peak / 1e12:.2f} TFLOP/s, ", end="")
    print(f"batch {arguments.rows:,} positions, {arguments.rounds} rounds of {arguments.inner} steps\n")
    for text in arguments.sizes:
        print_size(arguments, Size(*map(int, text.split(":"))), peak)


if __name__ == "__main__":
    main()
