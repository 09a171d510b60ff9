"""Stream processors: code of users that sees every record, each in a process of its own."""
