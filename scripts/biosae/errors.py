"""The errors that users are meant to read."""

from __future__ import annotations


class BiosaeError(Exception):
    """A fault in what the user gave: printed as one paragraph, without a traceback, exit code 2.

    Args:
        problem: one sentence that says what is wrong.
        got: what was found.
        expected: what should have been there.
        where: file, dataset, row or key.
        mend: what the user can do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        got: object = None,
        expected: object = None,
        where: object = None,
        mend: str | None = None,
    ) -> None:
        # a list of faults, one a line, stands as it is
        parts = [problem if problem.endswith("\n") else problem.rstrip(".") + "."]
        if where is not None:
            parts.append(f"Where: {where}.")
        if got is not None:
            parts.append(f"Got: {got}.")
        if expected is not None:
            parts.append(f"Expected: {expected}.")
        if mend is not None:
            parts.append(f"To mend: {mend.rstrip('.')}.")
        super().__init__(" ".join(parts))


class ConfigError(BiosaeError):
    """The configuration does not fit its schema, or names an input that is not there."""


class InputError(BiosaeError):
    """An input file is missing, unreadable or contradicts another input."""


class ContractError(BiosaeError):
    """A table or file does not fit the contract that the next stage relies on."""


class ClusterError(BiosaeError):
    """SLURM would refuse what is about to be asked of it, or let it wait for ever."""


class NoClusterError(ClusterError):
    """SLURM's commands are not there, or its controller does not answer."""
