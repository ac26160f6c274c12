"""Maps of the nodes: UMAP from decoder directions and from co-activation, and clusters.

Two nodes are near in the first map when their decoder directions point the same way (cosine, in
the space of normalised channels), and in the second when their seqlets share loci (cosine of the
rows of the node x locus matrix). Clusters are KMeans on the unit decoder directions themselves,
not on the map, whose distances mean little.

Published settings (SAE-Borzoi, umap_analysis): min_dist 0.02, seed 42, 25 clusters, there on the
2-D map. McInnes, Healy, Melville 2018, arXiv 1802.03426, for UMAP and its default of 15 neighbours.
"""

from __future__ import annotations

import logging
from types import ModuleType

import numpy as np
import pandas as pd
from scipy import sparse

from biosae.errors import ConfigError

log = logging.getLogger(__name__)

MIN_NODES = 5  # UMAP's spectral start needs more points than dimensions + 2


def embed(
    points: np.ndarray | sparse.csr_array, *, n_neighbors: int = 15, min_dist: float = 0.02, seed: int = 42
) -> np.ndarray:
    """UMAP with cosine distance.

    Args:
        points: (n, d), dense or sparse. All-zero rows have no direction: they are left out.
        n_neighbors: neighbours a node; n - 1 where there are fewer nodes.
        min_dist: least distance of points in the map.
        seed: of the layout; one thread, so that it decides.

    Returns:
        (n, 2) float64. NaN for all-zero rows, and for all rows (with a warning) where fewer than
        ``MIN_NODES`` are left.

    Raises:
        ConfigError: n_neighbors below 2 or min_dist outside [0, 1].
    """
    if n_neighbors < 2 or not 0 <= min_dist <= 1:
        raise ConfigError(
            "UMAP needs n_neighbors >= 2 and 0 <= min_dist <= 1",
            got={"n_neighbors": n_neighbors, "min_dist": min_dist},
        )
    places = np.full((points.shape[0], 2), np.nan)
    rows = np.flatnonzero(abs(points).sum(axis=1) > 0)
    if len(rows) < MIN_NODES:
        log.warning(
            "No map is drawn: %d nodes, fewer than %d; its coordinates stay empty", len(rows), MIN_NODES
        )
        return places
    chosen = points[rows]
    if sparse.issparse(chosen):
        chosen = sparse.csr_matrix(chosen.astype(np.float32))
    places[rows] = _fit(chosen, min(n_neighbors, len(rows) - 1), min_dist, seed)
    return places


def _fit(points: np.ndarray | sparse.csr_matrix, n_neighbors: int, min_dist: float, seed: int) -> np.ndarray:
    import umap  # slow to import: compiles on first use
    from threadpoolctl import threadpool_limits

    _keep_compiled(umap.umap_, umap.layouts)
    mapper = umap.UMAP(
        n_neighbors=n_neighbors, min_dist=min_dist, metric="cosine", random_state=seed, n_jobs=1
    )
    with threadpool_limits(1):
        return mapper.fit_transform(points)


def _keep_compiled(*modules: ModuleType) -> None:
    """Have numba keep what it compiles for UMAP: each process would spend 17 CPU-seconds on it again.

    It lies where pynndescent keeps its own: beside the installed package, or in the user's cache.
    """
    from numba.core.dispatcher import Dispatcher

    for module in modules:
        for value in vars(module).values():
            if isinstance(value, Dispatcher):
                value.enable_caching()


def cluster(directions: np.ndarray, n_clusters: int = 25, seed: int = 42) -> np.ndarray:
    """KMeans clusters of unit directions, (n,) int64, numbered from 0 in order of first appearance.

    There are at most as many clusters as distinct directions.
    """
    if n_clusters < 1:
        raise ConfigError("n_clusters must be 1 or more", got=n_clusters)
    if not len(directions):
        return np.zeros(0, dtype=np.int64)
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    n_clusters = min(n_clusters, len(np.unique(directions, axis=0)))
    with threadpool_limits(1):  # threads add up in any order
        labels = KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(directions)
    return pd.factorize(labels)[0].astype(np.int64)
