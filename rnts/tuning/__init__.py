"""Fits the machine to RNTS and RNTS to the machine: what `rnts tune` looks at, plans and does."""
