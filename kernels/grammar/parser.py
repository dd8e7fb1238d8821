"""Earley parsing over program rows: a column is the set of items alive between two bytes.

An item is (row | return node << 32, data). A return node is (column, call key): all callers of the
same rule in the same column share it, so left recursion ends and ambiguity stays polynomial. A
column depends on its scanned items alone; `columns.accept_byte` gives equal columns one number, so
a number stands for all that may follow. Columns above the numbered ones are scratch, dropped from
the top.

program = (code i4[rows, 4], targets i4[*], trans i4[*], maps u1[*, 256], sets u1[*, 256],
           consts i8[*], keys i4[*, 2])
store   = (regs i8[8], columns i4[*, 8], items i8[*, 2], nodes i4[*, 3], marks i4[rows],
           table i4[2^k])
columns: first scanned item, first closure item, first call, end, may end, first node, end of nodes,
         row of the only item if that is an automaton that cannot stop here, else -1.
nodes:   column, call key, returned without consuming.
"""

import numpy as np

from .._jit import jit
from .opcodes import (
    ALL_SET,
    AT_LEAST,
    AT_MOST,
    BYTE,
    CALL,
    COUNT,
    COUNT_MAX,
    COUNT_UNIT,
    COUNTED,
    DFA,
    EDGE_CLOSES,
    EDGE_COUNTS,
    EDGE_STATE,
    END,
    FLAG,
    FLAG_MASK,
    FLAGS,
    JUMP,
    LAST_CONSUMING,
    LENGTH_BITS,
    LENGTH_MAX,
    LOAD,
    MAP_MASK,
    NEED_SHIFT,
    ONCE,
    OTHER_TOKEN,
    ROOM,
    SET,
    SOME_UNSET,
    SPACE,
    SPLIT,
    TOKEN,
)

COLUMNS, STAMP, FULL, KEPT = (
    0,
    1,
    2,
    3,
)  # regs: columns in use, closure stamp, out of room, numbered
DEAD_END, NO_ROOM = -1, -2


@jit
def _item(row, node):
    return np.int64(row) | (np.int64(node) << 32)


@jit
def _add(store, first, top, row, node, data):
    """Append an item to items[first:top] unless there; the new top."""
    regs, _, items, _, marks, _ = store
    head = _item(row, node)
    if marks[row] == regs[STAMP]:
        for i in range(first, top):
            if items[i, 0] == head and items[i, 1] == data:
                return top
    if top >= items.shape[0]:
        regs[FULL] = 1
        return top
    marks[row] = regs[STAMP]
    items[top, 0] = head
    items[top, 1] = data
    return top + 1


@jit
def _count_unset(mask, data):
    left = mask & ~data
    count = 0
    while left:
        left &= left - 1
        count += 1
    return count


@jit
def _passes(op, a, b, consts, data):
    """Whether a guard lets the data through."""
    if op == AT_MOST:
        return ((data >> FLAGS) & COUNT_MAX) <= a
    if op == AT_LEAST:
        return ((data >> FLAGS) & COUNT_MAX) >= a
    if op == ONCE:
        return (data >> a) & 1 == 0
    if op == ALL_SET:
        return (data & consts[a]) == consts[a]
    if op == SOME_UNSET:
        return (data & consts[a]) != consts[a]
    if op == ROOM:
        return ((data >> FLAGS) & COUNT_MAX) + _count_unset(consts[b] & FLAG_MASK, data) <= a
    return True


@jit
def _changed(op, a, consts, data):
    """The data after an action."""
    if op == LOAD:
        return consts[a]
    if op == COUNT and ((data >> FLAGS) & COUNT_MAX) < COUNT_MAX:
        return data + COUNT_UNIT
    if op in (ONCE, FLAG):
        return data | (np.int64(1) << a)
    return data


@jit
def _node(store, column, key):
    """The column's return node for a call key; new ones are appended. (node, is new)"""
    regs, columns, _, nodes, _, _ = store
    for n in range(columns[column, 5], columns[column, 6]):
        if nodes[n, 1] == key:
            return n, False
    n = columns[column, 6]
    if n >= nodes.shape[0]:
        regs[FULL] = 1
        return n - 1, False
    nodes[n, 0] = column
    nodes[n, 1] = key
    nodes[n, 2] = 0
    columns[column, 6] = n + 1
    return n, True


@jit
def _return(program, store, column, first, top, node):
    """Move every caller of `node` past its call; the new top."""
    code = program[0]
    _, columns, items, nodes, _, _ = store
    origin = nodes[node, 0]
    key = nodes[node, 1]
    if origin == column:
        nodes[node, 2] = 1
        start, stop = first, top
    else:
        start, stop = columns[origin, 2], columns[origin, 3]
    for i in range(start, stop):
        row = items[i, 0] & 0xFFFFFFFF
        if code[row, 0] == CALL and code[row, 1] == key:
            top = _add(store, first, top, row + 1, items[i, 0] >> 32, items[i, 1])
    return top


@jit
def _call(program, store, column, first, top, row, node, data):
    """Enter the rule that `row` calls; the new top."""
    code, _, _, _, _, consts, keys = program
    nodes = store[3]
    key = code[row, 1]
    callee, is_new = _node(store, column, key)
    if is_new:
        top = _add(store, first, top, keys[key, 0], callee, consts[keys[key, 1]])
    if nodes[callee, 2]:
        top = _add(store, first, top, row + 1, node, data)
    return top


@jit
def _partition(code, items, first, top, low, high):
    """Bring the items whose op lies in low..high to the front; where they end."""
    end = first
    for i in range(first, top):
        op = code[items[i, 0] & 0xFFFFFFFF, 0]
        if low <= op and op <= high:
            head, data = items[i, 0], items[i, 1]
            items[i, 0], items[i, 1] = items[end, 0], items[end, 1]
            items[end, 0], items[end, 1] = head, data
            end += 1
    return end


@jit
def _close(program, store, column):
    """Derive the column's waiting items and calls from its scanned items."""
    code, targets, _, _, _, consts, _ = program
    regs, columns, items, _, _, _ = store
    regs[STAMP] += 1
    first = columns[column, 1]
    top = first
    for i in range(columns[column, 0], first):
        top = _add(store, first, top, items[i, 0] & 0xFFFFFFFF, items[i, 0] >> 32, items[i, 1])
    may_end = 0
    i = first
    while i < top and not regs[FULL]:
        row = items[i, 0] & 0xFFFFFFFF
        node = items[i, 0] >> 32
        data = items[i, 1]
        op = code[row, 0]
        a = code[row, 1]
        i += 1
        if op in (DFA, COUNTED):
            if code[row, 2] >= 0:
                top = _add(store, first, top, code[row, 2], node, data)
        elif op == SPACE:
            top = _add(store, first, top, row + 1, node, data)
        elif op <= LAST_CONSUMING:
            continue
        elif op == SPLIT:
            for t in range(a, a + code[row, 2]):
                top = _add(store, first, top, targets[t], node, data)
        elif op == JUMP:
            top = _add(store, first, top, a, node, data)
        elif op == CALL:
            top = _call(program, store, column, first, top, row, node, data)
        elif op == END:
            if node == 0:
                may_end = 1
            else:
                top = _return(program, store, column, first, top, node)
        elif _passes(op, a, code[row, 2], consts, data):
            top = _add(store, first, top, row + 1, node, _changed(op, a, consts, data))
    waiting = _partition(code, items, first, top, BYTE, LAST_CONSUMING)
    columns[column, 2] = waiting
    columns[column, 3] = _partition(code, items, waiting, top, CALL, CALL)
    columns[column, 4] = may_end
    columns[column, 7] = -1
    if waiting == first + 1 and columns[column, 3] == waiting and not may_end:
        row = items[first, 0] & 0xFFFFFFFF
        if code[row, 0] in (DFA, COUNTED):
            columns[column, 7] = row


@jit
def open_column(store):
    """First free item and node above all columns in use."""
    regs, columns, _, _, _, _ = store
    if regs[COLUMNS] == 0:
        return np.int64(0), np.int64(1)
    last = regs[COLUMNS] - 1
    return np.int64(columns[last, 3]), np.int64(columns[last, 6])


@jit
def finish_column(program, store, first, top, first_node):
    """Make items[first:top] the scanned items of a new column; its number or an error."""
    regs, columns, _, _, _, _ = store
    if regs[FULL] or regs[COLUMNS] >= columns.shape[0]:
        regs[FULL] = 0
        return NO_ROOM
    if top == first:
        return DEAD_END
    column = regs[COLUMNS]
    columns[column, 0] = first
    columns[column, 1] = top
    columns[column, 5] = first_node
    columns[column, 6] = first_node
    _close(program, store, column)
    if regs[FULL]:
        regs[FULL] = 0
        return NO_ROOM
    if columns[column, 2] == top and not columns[column, 4]:
        return DEAD_END
    regs[COLUMNS] = column + 1
    return column


@jit
def counted_edge(code, edge, data):
    """Take an edge of a counted string: (row or -1, data)."""
    row = edge & EDGE_STATE
    allowed = data >> LENGTH_BITS
    needed = data & LENGTH_MAX
    if edge & EDGE_COUNTS:
        needed = max(needed - 1, 0)
        if allowed != LENGTH_MAX:
            allowed -= 1
            if allowed < (code[row, 3] >> NEED_SHIFT):
                return -1, data
    if edge & EDGE_CLOSES and needed > 0:
        return -1, data
    return row, (allowed << LENGTH_BITS) | needed


@jit
def move_item(program, row, byte, data):
    """Where an item goes on a byte: (row or -1, data)."""
    code, _, trans, maps, sets, _, _ = program
    op = code[row, 0]
    if op == BYTE:
        return (row + 1 if code[row, 1] == byte else -1), data
    if op == DFA:
        return np.int64(trans[code[row, 1] + maps[code[row, 3], byte]]), data
    if op == COUNTED:
        edge = trans[code[row, 1] + maps[code[row, 3] & MAP_MASK, byte]]
        if edge < 0:
            return np.int64(-1), data
        return counted_edge(code, edge, data)
    if op == SET:
        return (row + 1 if sets[code[row, 1], byte] else -1), data
    if op == SPACE and (byte == 32 or byte == 10 or byte == 9 or byte == 13):
        return row, data
    return np.int64(-1), data


@jit
def scan_byte(program, store, column, byte, top):
    """Append what the column's items become on a byte; the new top."""
    regs, columns, items, _, _, _ = store
    for i in range(columns[column, 1], columns[column, 2]):
        row, data = move_item(program, items[i, 0] & 0xFFFFFFFF, byte, items[i, 1])
        if row >= 0:
            if top >= items.shape[0]:
                regs[FULL] = 1
                return top
            items[top, 0] = _item(row, items[i, 0] >> 32)
            items[top, 1] = data
            top += 1
    return top


@jit
def scan_token(program, store, column, token, top):
    """Append what the column's token terminals become on a token id; the new top."""
    code = program[0]
    regs, columns, items, _, _, _ = store
    for i in range(columns[column, 1], columns[column, 2]):
        row = items[i, 0] & 0xFFFFFFFF
        hit = code[row, 0] == TOKEN and code[row, 1] == token
        if hit or (code[row, 0] == OTHER_TOKEN and code[row, 1] != token):
            if top >= items.shape[0]:
                regs[FULL] = 1
                return top
            items[top, 0] = _item(row + 1, items[i, 0] >> 32)
            items[top, 1] = items[i, 1]
            top += 1
    return top


@jit
def _is_same(store, column, top, end):
    """Whether items[top:end] are just the column's own scanned items."""
    _, columns, items, _, _, _ = store
    first = columns[column, 0]
    if columns[column, 1] - first != end - top:
        return False
    for i in range(end - top):
        if items[first + i, 0] != items[top + i, 0] or items[first + i, 1] != items[top + i, 1]:
            return False
    return True


@jit
def step(program, store, column, byte):
    """Push the column that follows on a byte: its number, DEAD_END or NO_ROOM.

    A byte that changes nothing, as in runs of white space or digits, gives the column itself.
    """
    top, first_node = open_column(store)
    end = scan_byte(program, store, column, byte, top)
    if end == top:
        return NO_ROOM if store[0][FULL] else DEAD_END
    if _is_same(store, column, top, end):
        return column
    return finish_column(program, store, top, end, first_node)


@jit
def push(program, store, row, node, data):
    """Push the column of one scanned item: its number, DEAD_END or NO_ROOM."""
    items = store[2]
    top, first_node = open_column(store)
    if top >= items.shape[0]:
        return NO_ROOM
    items[top, 0] = _item(row, node)
    items[top, 1] = data
    return finish_column(program, store, top, top + 1, first_node)
