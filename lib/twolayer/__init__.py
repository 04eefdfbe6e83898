"""How two-layer networks learn features by gradient descent."""
