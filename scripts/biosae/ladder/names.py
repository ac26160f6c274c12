"""What the ladder's modules call things; imports nothing, so that tables and pictures need no PyTorch."""

SAE, CHANCE = "sae", "chance"  # roles; every other role is a baseline's
ALL = "all"  # the set of all scored detectors, beside the axes' own sets
