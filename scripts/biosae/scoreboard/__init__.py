"""SAE against its nulls: figures at matched numbers of nodes, and what resampling loci makes of them."""
