"""The training step against the published one and other projects': speed, memory, and that nothing changed.

    PYTHONPATH=scripts python tests/benchmarks/training_step.py [--sizes 2432:30 4864:64] [--rounds 7]

Synthetic 608-channel activations with known sparse structure. All contenders take one optimiser step on the
same rows, in turn, within one process; medians. First CPU time with one thread, then wall time with all
threads. Printed for each size:

    positions a CPU second   rows / median CPU time of a step, one thread
    share of the limit       time of the encoder's matrix product alone (fp32, or bf16 for bf16 contenders),
                             measured in the same rounds, over the step's time
    wall                     positions a second with all threads
    peak memory              of a process of its own: the most resident memory during five steps above what
                             it held with everything imported, warmed up and the batch made. Weights,
                             gradients and both moments of Adam are in it (stated above the table).

and whether gradients equal those of the published formula's dense autograd (float32 and float64; wanted:
1e-5) and whether training in bfloat16 reaches float32's FVU (wanted: within 1 %).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import contenders
import peers
import torch
from contenders import NAMES, Batch, Contender, Size, Unavailable
from planted_activations import PlantedActivations, mean_and_std
from step_gates import as_batch, check_gradients, fvu_after_training

MEMORY_STEPS = 5
MIB = 2**20


def arguments_of(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--sizes", nargs="+", default=["2432:30", "4864:64", "19456:64", "4864:243"], help="nodes:k ...")
    add("--channels", type=int, default=608)
    add("--rows", type=int, default=4096, help="positions of a batch (default 4096)")
    add("--rounds", type=int, default=7, help="timed steps of each contender (default 7)")
    add("--warm-up", type=int, default=2, help="steps before timing (default 2)")
    add("--contenders", nargs="+", default=list(NAMES), choices=NAMES, metavar="NAME", help=f"of {NAMES}")
    add("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads for wall time (all)")
    add("--layer-norm", action="store_true", help="per-position LayerNorm, in biosae and the published step")
    add("--no-wall", action="store_true", help="leave out wall time")
    add("--no-memory", action="store_true", help="leave out peak memory")
    add("--no-gates", action="store_true", help="leave out gradients and FVU")
    add("--gate-steps", type=int, default=200, help="steps before FVU is compared; 0: not (default 200)")
    add("--gate-rows", type=int, default=1024, help="positions of each of those and of the gradient check")
    add("--seed", type=int, default=0)
    add("--memory-of", metavar="NAME", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def build_all(arguments, size: Size, batch: Batch, normaliser) -> dict[str, Contender]:
    """The contenders that can run here; the reason of each other one is printed."""
    built = {}
    for name in arguments.contenders:
        try:
            built[name] = contenders.build(name, size, batch, normaliser, arguments.layer_norm)
        except Unavailable as error:
            print(f"(skipped {name}: {error})\n")
    return built


def time_all(arguments, size: Size, batch: Batch, built: dict[str, Contender]) -> tuple[dict, dict]:
    """Median CPU seconds of one thread and wall seconds of all, a step; and of both encoder products."""
    jobs = {name: lambda c=contender: c.step(batch) for name, contender in built.items()}
    jobs |= {kind: contenders.encoder_product(size, batch, kind) for kind in ("fp32", "bf16")}
    contenders.set_threads(1)
    cpu = contenders.interleaved(jobs, arguments.rounds, arguments.warm_up, time.process_time)
    if arguments.no_wall:
        return cpu, {}
    contenders.set_threads(arguments.threads)
    wall = contenders.interleaved(jobs, arguments.rounds, arguments.warm_up, time.perf_counter)
    contenders.set_threads(1)
    return cpu, wall


def _resident(key: str) -> int:
    """Bytes of this process: VmRSS, or VmHWM (its most)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(key)))


def memory_here(arguments, size: Size) -> int:
    """Bytes that steps of ``--memory-of`` need above the imported, warmed-up process; run in a new process.

    Not ``getrusage``'s maximum: that starts at the parent's size and cannot be reset after the imports.
    """
    contenders.set_threads(1)
    batch, normaliser = _data(arguments, 1, size.channels)
    _steps(arguments.memory_of, Size(size.channels, 64, 4), batch, normaliser, arguments)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # forget the most so far
    before = _resident("VmRSS")
    _steps(arguments.memory_of, size, batch, normaliser, arguments)
    return _resident("VmHWM") - before


def _steps(name: str, size: Size, batch: Batch, normaliser, arguments) -> None:
    contender = contenders.build(name, size, batch, normaliser, arguments.layer_norm)
    for _ in range(MEMORY_STEPS):
        contender.step(batch)


def memory_of(arguments, name: str, size: Size) -> int:
    """``memory_here`` in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", name, "--sizes", f"{size.n_nodes}:{size.k}"]
    command += ["--channels", str(size.channels), "--rows", str(arguments.rows)]
    command += ["--layer-norm"] if arguments.layer_norm else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])["bytes"]


def _data(arguments, seed: int, channels: int) -> tuple[Batch, tuple]:
    planted = PlantedActivations(channels, 2 * channels, seed=seed)
    normaliser = mean_and_std(planted.rows(8192, first_number=1))
    return as_batch(planted.rows(arguments.rows), normaliser), normaliser


def print_table(arguments, size: Size, batch: Batch, normaliser) -> None:
    """One size's table."""
    built = build_all(arguments, size, batch, normaliser)
    cpu, wall = time_all(arguments, size, batch, built)
    rows, columns = len(batch.u), ["contender", "positions/CPU s", "ratio", "us/position", "share of limit"]
    columns += [f"wall positions/s, {arguments.threads} threads", "ratio"] if wall else []
    columns += [] if arguments.no_memory else ["peak MiB", "ratio"]
    print(f"| {' | '.join([*columns, 'what ran'])} |\n|{'---|' * (len(columns) + 1)}")
    memory = {} if arguments.no_memory else {name: memory_of(arguments, name, size) for name in built}
    for name in [*built, "fp32", "bf16"]:
        contender = built.get(name)
        label = name if contender else f"encoder's product alone, {name}"
        cells = [label, f"{rows / cpu[name]:,.0f}", _ratio(cpu, name), f"{1e6 * cpu[name] / rows:.1f}"]
        cells.append(f"{cpu[contender.limit] / cpu[name]:.0%}" if contender else "")
        cells += [f"{rows / wall[name]:,.0f}", _ratio(wall, name)] if wall else []
        if memory:
            cells.append(f"{memory[name] / MIB:.0f}" if contender else "")
            cells.append(_ratio(memory, name, upside_down=True))
        print(f"| {' | '.join([*cells, contender.note if contender else ''])} |", flush=True)


def _ratio(values: dict[str, float], name: str, upside_down: bool = False) -> str:
    """How many times faster than published; ``upside_down``: how many times as much."""
    if "published" not in values or name not in values:
        return ""
    ratio = values["published"] / values[name]
    return f"{1 / ratio if upside_down else ratio:.2f}"


def print_gates(arguments, size: Size, normaliser) -> None:
    """Gradients and FVU."""
    planted = PlantedActivations(size.channels, 2 * size.channels, seed=arguments.seed)
    raw = torch.from_numpy(planted.rows(arguments.gate_rows, first_number=5))
    for layer_norm in (False, True):
        check = check_gradients(size, raw, normaliser, layer_norm)
        print(
            f"- gradients{' with LayerNorm' * layer_norm}, {check.rows} rows ({check.left_out} near ties left"
            f" out): biosae fp32 against dense autograd {check.against_float32:.1e},"
            f" against float64 {check.against_float64:.1e}"
            f" (dense float32 against float64 {check.published_against_float64:.1e})"
        )
    if not arguments.gate_steps:
        return
    reached = fvu_after_training(size, planted, normaliser, arguments.gate_steps, arguments.gate_rows)
    figures = ", ".join(f"{name} {value:.4f}" for name, value in reached.items())
    if len(reached) == 2:
        figures += f" (bf16 / fp32 {reached['biosae bf16'] / reached['biosae fp32']:.4f})"
    positions = arguments.gate_steps * arguments.gate_rows
    print(f"- held-out FVU after {positions:,} positions: {figures}", flush=True)


def main() -> None:
    """Measure and print."""
    arguments = arguments_of()
    sizes = [Size(arguments.channels, *map(int, text.split(":"))) for text in arguments.sizes]
    if arguments.memory_of:
        print(json.dumps({"bytes": memory_here(arguments, sizes[0])}))
        return
    print(f"{peers.versions()}; batch {arguments.rows} positions, {arguments.rounds} rounds\n")
    batch, normaliser = _data(arguments, arguments.seed, arguments.channels)
    contenders.set_threads(1)
    for size in sizes:
        weights = 4 * (2 * size.n_nodes * size.channels + size.n_nodes + size.channels)
        print(
            f"### {size}\n\nbatch {batch.u.nbytes / MIB:.0f} MiB as float32; weights {weights / MIB:.0f} MiB,"
            f" {4 * weights / MIB:.0f} MiB with gradients and moments\n"
        )
        print_table(arguments, size, batch, normaliser)
        print()
        if not arguments.no_gates:
            print_gates(arguments, size, normaliser)
            print()


if __name__ == "__main__":
    main()
