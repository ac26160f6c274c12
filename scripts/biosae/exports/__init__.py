"""A run in the formats of other programs: bigBed, TF-MoDISco's HDF5, Parquet, h5ad, MultiQC's tables.

Nothing is computed that the run does not say already, but for the places of motifs in seqlets (``sites``).
"""
