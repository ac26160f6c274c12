"""Motifs of sets of sequences: discovery, formats, matching, significance. Knows nothing of PyTorch."""
