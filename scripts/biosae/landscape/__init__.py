"""Nodes seen together: maps, shared loci and overlaps with annotations."""
