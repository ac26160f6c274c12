"""A genome with five windows, its extraction, and what the model itself gives."""

import numpy as np
import torch
from helpers_hosts import TINY, asked, write_bed, write_genome

from biosae.activations import ActivationStore
from biosae.extraction import extract_files
from biosae.extraction_store import plan_store
from biosae.genome import Genome
from biosae.hosts.loading import load_host
from biosae.hosts.onehot import encode, reverse_complement

LENGTH = 640
INTERVALS = (
    ("chr1", 200, 840),
    ("chr2", 100, 740),
    ("chr1", 1500, 2140),
    ("chr1", 300, 940),
    ("chr2", 0, 640),
)


def made_world(tmp_path):
    """A genome and a BED of five windows that touch no end but one."""
    return write_genome(tmp_path), write_bed(tmp_path, *INTERVALS)


def extract(world, folder, wanted=None, piece_bp=None, spec=TINY, numbers=None):
    genome, bed = world
    plan_store(spec, bed, genome, folder, wanted or asked())
    extract_files(load_host(spec), Genome(genome), folder, numbers, piece_bp)
    return ActivationStore.open(folder, 0, spec.layer.channels, spec.layer.stride_bp, spec.layer.name)


def rows(store):
    return np.stack([store.read(i * store.positions, store.positions) for i in range(store.n_sequences)])


def expected(world, place, reverse=False, spec=TINY):
    """Activations of one window, from the model itself, in forward order."""
    onehot = encode(Genome(world[0]).segment(*place))
    onehot = reverse_complement(onehot) if reverse else onehot
    found = load_host(spec).activations(torch.from_numpy(onehot))[0].numpy()
    return found[::-1] if reverse else found
