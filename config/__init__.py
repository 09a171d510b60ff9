"""The settings that RNTS ships with, as data: rnts.yaml holds every default, the rest examples."""
