"""Numbered columns: equal sets of scanned items get one number, tokens are accepted by number.

The number of a column stands for all that may follow, so masks can be kept by it and a history is a
list of numbers. See parser.py for `program` and `store`.
"""

import numpy as np

from .._jit import jit
from .borrow import borrow_program, borrow_store
from .opcodes import BYTE
from .parser import (
    COLUMNS,
    FULL,
    KEPT,
    NO_ROOM,
    finish_column,
    move_item,
    open_column,
    push,
    scan_byte,
    scan_token,
)


@jit
def _sort(items, first, top):
    """Order items and drop repeats; where they end. Heap sort: no allocation, no bad case."""
    n = top - first
    for phase in range(2 * n):
        end = n if phase < n else 2 * n - phase - 1
        if phase >= n:
            for w in range(2):
                items[first, w], items[first + end, w] = items[first + end, w], items[first, w]
        root = n - phase - 1 if phase < n else 0
        while 2 * root + 1 < end:
            child = 2 * root + 1
            x, y = first + child, first + child + 1
            if child + 1 < end and (
                items[x, 0] < items[y, 0]
                or (items[x, 0] == items[y, 0] and items[x, 1] < items[y, 1])
            ):
                child += 1
            x, y = first + root, first + child
            if items[y, 0] < items[x, 0] or (
                items[x, 0] == items[y, 0] and items[y, 1] <= items[x, 1]
            ):
                break
            for w in range(2):
                items[x, w], items[y, w] = items[y, w], items[x, w]
            root = child
    out = first
    for i in range(first, top):
        if i == first or items[i, 0] != items[out - 1, 0] or items[i, 1] != items[out - 1, 1]:
            items[out, 0], items[out, 1] = items[i, 0], items[i, 1]
            out += 1
    return out


@jit
def _enter(store, column):
    """Number the top column: an equal older one if there is, else the column itself."""
    regs, columns, items, _, _, table = store
    first, stop = columns[column, 0], columns[column, 1]
    h = np.uint64(stop - first)
    for i in range(first, stop):
        for w in range(2):
            h = (h ^ np.uint64(items[i, w])) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(29)
    slot = np.int64(h >> np.uint64(24)) & (table.shape[0] - 1)
    while table[slot] >= 0:
        old = table[slot]
        if columns[old, 1] - columns[old, 0] == stop - first:
            same = True
            for i in range(stop - first):
                x, y = columns[old, 0] + i, first + i
                if items[x, 0] != items[y, 0] or items[x, 1] != items[y, 1]:
                    same = False
                    break
            if same:
                regs[COLUMNS] = column
                return np.int64(old)
        slot = (slot + 1) & (table.shape[0] - 1)
    table[slot] = column
    regs[KEPT] = column + 1
    return np.int64(column)


@jit
def begin(program, store):
    """Empty the store and number the column before the first byte (call key 0): it is column 0."""
    program, store = borrow_program(program), borrow_store(store)
    regs, _, _, nodes, _, table = store
    keys = program[6]
    regs[COLUMNS] = 0
    regs[KEPT] = 0
    regs[FULL] = 0
    table[:] = -1
    nodes[0, 0] = -1
    nodes[0, 1] = 0
    column = push(program, store, keys[0, 0], 0, program[5][keys[0, 1]])
    return _enter(store, column) if column >= 0 else np.int64(column)


@jit
def accept_byte(program, store, column, byte):
    """The numbered column that follows a numbered column on a byte, DEAD_END or NO_ROOM."""
    program, store = borrow_program(program), borrow_store(store)
    top, first_node = open_column(store)
    end = scan_byte(program, store, column, byte, top)
    if end > top:
        end = _sort(store[2], top, end)
    to = finish_column(program, store, top, end, first_node)
    return _enter(store, to) if to >= 0 else np.int64(to)


@jit
def accept_bytes(program, store, column, data):
    """Run accept_byte over u1[n]: (column or error, bytes taken)."""
    program, store = borrow_program(program), borrow_store(store)
    for i in range(data.shape[0]):
        column = accept_byte(program, store, column, data[i])
        if column < 0:
            return column, i
    return column, data.shape[0]


@jit
def accept_token(program, store, column, token, data):
    """The numbered column that follows a token read as its bytes or as a token terminal."""
    program, store = borrow_program(program), borrow_store(store)
    regs = store[0]
    kept = column
    for i in range(data.shape[0] - 1):
        kept = accept_byte(program, store, kept, data[i])
        if kept == NO_ROOM:
            return np.int64(kept)
        if kept < 0:
            break
    top, first_node = open_column(store)
    end = top
    if kept >= 0 and data.shape[0]:
        end = scan_byte(program, store, kept, data[data.shape[0] - 1], top)
    end = scan_token(program, store, column, token, end)
    if end > top:
        end = _sort(store[2], top, end)
    to = finish_column(program, store, top, end, first_node)
    if to == NO_ROOM:
        regs[COLUMNS] = regs[KEPT]
    return _enter(store, to) if to >= 0 else np.int64(to)


@jit
def next_bytes(program, store, column, out):
    """Mark in u1[256] the bytes some item takes; how many."""
    program, store = borrow_program(program), borrow_store(store)
    _, columns, items, _, _, _ = store
    code = program[0]
    out[:] = 0
    for i in range(columns[column, 1], columns[column, 2]):
        row = items[i, 0] & 0xFFFFFFFF
        if code[row, 0] == BYTE:
            out[code[row, 1]] = 1
            continue
        for byte in range(256):
            if not out[byte] and move_item(program, row, byte, items[i, 1])[0] >= 0:
                out[byte] = 1
    count = 0
    for byte in range(256):
        count += out[byte]
    return count
