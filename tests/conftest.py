"""What the whole suite shares: single-threaded numerics, so that results do not depend on the machine."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def pytest_collection_modifyitems(items):
    """The longest first, and what needs the shared world once it is made: no worker waits or ends late."""
    items.sort(key=_place)


def _place(item) -> int:
    if item.path.stem == "test_null_runs":
        return 0
    if item.get_closest_marker("workflow") is None:
        return 3
    return 2 if "world" in item.fixturenames else 1
