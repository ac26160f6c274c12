"""biosae: from the activations of a biological sequence model to an atlas of its sparse features.

Data flows one way: activations, statistics, SAE, top activations, seqlets, motifs, matches,
tables, pages. Modules up to ``nodes`` know rows and channels and nothing of DNA; modules from
``seqlets`` on know sequences and nodes and nothing of PyTorch.
"""

__version__ = "0.1.0"
