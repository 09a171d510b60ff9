"""One file a subcommand: parse, build, run, print; each imports what it needs when it runs."""
