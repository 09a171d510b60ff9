"""The benchmarks of RNTS: what `rnts bench` runs, each in a process of its own."""
