"""Quantised weight types: one file draws one block layout and dequantises it, table.py names all.

A block is a fixed run of bytes that holds a fixed number of weights. In every file `y` is the
float32 weight, `d` a float16 scale widened to float32 (exact), `q` an integer code. Numbers in
blocks are little-endian. Layouts are ggml's (ggml-common.h as in llama-cpp-python 0.3.36), and so
is every rounding: the line "float32" in a file says which operations happen, in which order, and
which of them can round. Only Q8_K and the types with a minimum ever round, and those once: all
other products are short enough to be exact, so a fused multiply-add gives the same bits.
"""
