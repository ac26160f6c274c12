"""Hosts: the sequence models whose activations are read. What knows both DNA and PyTorch lies here."""
