"""Standing expressions: what is found of them after each batch, and how that is told."""
