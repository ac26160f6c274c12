"""From the store to the training step: which batches a run sees, and their way to the device."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from biosae.activations import ActivationStore, shuffled_batches
from biosae.distributed import Ranks
from biosae.errors import ConfigError
from biosae.recipes import Recipe

# runs that agree in these (resolved for the store) see the same batches
STREAM = ("batch_rows", "block_rows", "pool_blocks", "epochs", "max_positions", "shuffle")


def stream_seed(recipe: Recipe) -> int:
    """The seed of the order of positions: ``shuffle_seed``, or the run's own."""
    return recipe.seed if recipe.shuffle_seed is None else recipe.shuffle_seed


def check_one_stream(recipes: list[Recipe]) -> None:
    """Refuse recipes (resolved for the store) that do not see the same batches in the same order.

    Raises:
        ConfigError: names what differs.
    """
    choices = [{name: getattr(r, name) for name in STREAM} | {"seed": stream_seed(r)} for r in recipes]
    differ = [name for name in choices[0] if len({choice[name] for choice in choices}) > 1]
    if differ:
        raise ConfigError(
            "Runs that are trained together must share one stream of positions",
            got={name: [choice[name] for choice in choices] for name in differ},
            expected=f"the same {', '.join((*STREAM, 'shuffle_seed'))}",
            mend="give them the same values (one --shuffle-seed for all), or train them one by one",
        )


def epoch_batches(
    store: ActivationStore, recipe: Recipe, epoch: int, start_batch: int, device: torch.device, ranks: Ranks
) -> Iterator[Tensor]:
    """The batches (raw rows) of one epoch from ``start_batch`` on, on ``device``, for this rank.

    Valid until the next one is asked for. Closing the generator stops the reader.
    """
    on_gpu = device.type == "cuda"
    batches = shuffled_batches(
        store,
        recipe.batch_rows,
        stream_seed(recipe),
        epoch,
        block_rows=recipe.block_rows,
        pool_blocks=recipe.pool_blocks,
        start_batch=start_batch,
        shuffle=recipe.shuffle,
        pin_memory=on_gpu,
        share=(ranks.rank, ranks.world),
    )
    return _on_gpu(batches, device) if on_gpu else batches


def _on_gpu(batches: Iterator[Tensor], device: torch.device) -> Iterator[Tensor]:
    """Copy each batch while the one before it is used; an error comes after the batches before it."""
    copies = torch.cuda.Stream(device)
    copied = torch.cuda.Event()
    ahead, error = None, None
    while error is None:
        following = None
        try:
            rows = next(batches)
            copied.synchronize()  # the reader keeps a pinned batch for two more, no longer
            with torch.cuda.stream(copies):
                following = rows.to(device, non_blocking=True)
                copied.record(copies)
        except Exception as caught:  # raised below, once the batch before it was used
            error = caught
        if ahead is not None:
            yield ahead
        if following is not None:
            compute = torch.cuda.current_stream(device)
            compute.wait_stream(copies)
            following.record_stream(compute)
        ahead = following
    if not isinstance(error, StopIteration):
        raise error
