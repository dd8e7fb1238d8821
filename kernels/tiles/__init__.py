"""Packed weights: tiles of 16 output rows, one vector lane per row, and how each type unpacks."""
