"""Normalisers made of statistics: they never flip a channel or divide by nothing."""

from __future__ import annotations

import numpy as np
import pytest

from biosae.errors import ConfigError
from biosae.statistics import ChannelStatistics, normaliser_vectors


def stats_of(maximum, absmax, mean, variance) -> ChannelStatistics:
    """Statistics made of the vectors that normalisers use."""
    arrays = [np.asarray(values, dtype=np.float64) for values in (maximum, absmax, mean, variance)]
    n = len(arrays[0])
    return ChannelStatistics(np.ones(n), -arrays[1], *arrays, np.zeros((n, 0)), np.zeros(0))


def test_signed_maximum_that_is_not_positive_is_listed_and_not_flipped():
    """Published trap: x / max with max = -2 turned the channel upside down."""
    stats = stats_of(maximum=[4, -2, 0], absmax=[4, 8, 3], mean=[0, 0, 0], variance=[1, 1, 1])
    shift, scale, unscaled = normaliser_vectors(stats, "max")
    assert unscaled == [1, 2] and scale.tolist() == [4, 1, 1] and shift.tolist() == [0, 0, 0]
    x = np.array([2.0, -8.0, -3.0])
    assert ((x - shift) / scale).tolist() == [0.5, -8.0, -3.0]


def test_absolute_maximum_and_standard_and_none():
    stats = stats_of(maximum=[4, -2, 0], absmax=[4, 8, 0], mean=[1, -5, 7], variance=[4, 9, 0])
    shift, scale, unscaled = normaliser_vectors(stats, "absmax")
    assert shift.tolist() == [0, 0, 0] and scale.tolist() == [4, 8, 1] and unscaled == [2]
    shift, scale, unscaled = normaliser_vectors(stats, "standard")
    assert shift.tolist() == [1, -5, 7] and scale.tolist() == [2, 3, 1] and unscaled == [2]
    shift, scale, unscaled = normaliser_vectors(stats, "none")
    assert shift.tolist() == [0, 0, 0] and scale.tolist() == [1, 1, 1] and unscaled == []
    assert shift.dtype == scale.dtype == np.float32


def test_scale_below_the_normal_numbers_of_float32_is_not_divided_by():
    stats = stats_of(maximum=[1e-42], absmax=[1e-42], mean=[0], variance=[1e-90])
    for kind in ("max", "absmax", "standard"):
        assert normaliser_vectors(stats, kind)[1:][1] == [0]


def test_unknown_normaliser_is_refused():
    with pytest.raises(ConfigError, match="zscore"):
        normaliser_vectors(stats_of([1], [1], [0], [1]), "zscore")
