"""Recordings: frames as an aggregator folded them, in a file, and what plays them back."""
