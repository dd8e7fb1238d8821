"""Constrained decoding: grammars compiled to programs, and the masks they put on a vocabulary."""
