"""The `gnomon` command: each file one group of subcommands."""
