"""From nodes back to the network that was read: what its outputs owe to a node, to a window, to a variant."""
