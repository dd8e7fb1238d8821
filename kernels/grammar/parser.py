"""Earley parsing over program rows: a column is the set of items alive between two bytes.

An item is (row | return node << 32, data). A return node is (column, call key): all callers of the
same rule in the same column share it, so left recursion ends and ambiguity stays polynomial. A
column depends on its scanned items alone; `accept_byte` gives equal columns one number, so a number
stands for all that may follow. Columns above the numbered ones are scratch, dropped from the top.

program = (code i4[rows, 4], targets i4[*], trans i4[*], maps u1[*, 256], sets u1[*, 256],
           consts i8[*], keys i4[*, 2])
store   = (regs i8[8], columns i4[*, 8], items i8[*, 2], nodes i4[*, 3], marks i4[rows], table i4[2^k])
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
    RUN_MAX,
    RUN_UNIT,
    SET,
    SOME_UNSET,
    SPACE,
    SPLIT,
    TOKEN,
    WITHOUT_RUN,
)

COLUMNS, STAMP, FULL, KEPT = 0, 1, 2, 3  # regs: columns in use, closure stamp, out of room, numbered
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
    if op == ONCE or op == FLAG:
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
        if op == DFA or op == COUNTED:
            if code[row, 2] >= 0:
                top = _add(store, first, top, code[row, 2], node, data)
        elif op == SPACE:
            top = _add(store, first, top, row + 1, node, data & WITHOUT_RUN)
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
        if code[row, 0] == DFA or code[row, 0] == COUNTED:
            columns[column, 7] = row


@jit
def _open(store):
    """First free item and node above all columns in use."""
    regs, columns, _, _, _, _ = store
    if regs[COLUMNS] == 0:
        return np.int64(0), np.int64(1)
    last = regs[COLUMNS] - 1
    return np.int64(columns[last, 3]), np.int64(columns[last, 6])


@jit
def _finish(program, store, first, top, first_node):
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
def _move(program, row, byte, data):
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
        if (data >> 56) >= RUN_MAX:
            return np.int64(-1), data
        return row, data + RUN_UNIT
    return np.int64(-1), data


@jit
def _scan_byte(program, store, column, byte, top):
    """Append what the column's items become on a byte; the new top."""
    regs, columns, items, _, _, _ = store
    for i in range(columns[column, 1], columns[column, 2]):
        row, data = _move(program, items[i, 0] & 0xFFFFFFFF, byte, items[i, 1])
        if row >= 0:
            if top >= items.shape[0]:
                regs[FULL] = 1
                return top
            items[top, 0] = _item(row, items[i, 0] >> 32)
            items[top, 1] = data
            top += 1
    return top


@jit
def _scan_token(program, store, column, token, top):
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
def step(program, store, column, byte):
    """Push the column that follows on a byte: its number, DEAD_END or NO_ROOM."""
    top, first_node = _open(store)
    end = _scan_byte(program, store, column, byte, top)
    return _finish(program, store, top, end, first_node)


@jit
def push(program, store, row, node, data):
    """Push the column of one scanned item: its number, DEAD_END or NO_ROOM."""
    items = store[2]
    top, first_node = _open(store)
    if top >= items.shape[0]:
        return NO_ROOM
    items[top, 0] = _item(row, node)
    items[top, 1] = data
    return _finish(program, store, top, top + 1, first_node)


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
    top, first_node = _open(store)
    end = _scan_byte(program, store, column, byte, top)
    if end > top:
        end = _sort(store[2], top, end)
    to = _finish(program, store, top, end, first_node)
    return _enter(store, to) if to >= 0 else np.int64(to)


@jit
def accept_bytes(program, store, column, data):
    """Run accept_byte over u1[n]: (column or error, bytes taken)."""
    for i in range(data.shape[0]):
        column = accept_byte(program, store, column, data[i])
        if column < 0:
            return column, i
    return column, data.shape[0]


@jit
def accept_token(program, store, column, token, data):
    """The numbered column that follows a token read as its bytes or as a token terminal."""
    regs = store[0]
    kept = column
    for i in range(data.shape[0] - 1):
        kept = accept_byte(program, store, kept, data[i])
        if kept == NO_ROOM:
            return np.int64(kept)
        if kept < 0:
            break
    top, first_node = _open(store)
    end = top
    if kept >= 0 and data.shape[0]:
        end = _scan_byte(program, store, kept, data[data.shape[0] - 1], top)
    end = _scan_token(program, store, column, token, end)
    if end > top:
        end = _sort(store[2], top, end)
    to = _finish(program, store, top, end, first_node)
    if to == NO_ROOM:
        regs[COLUMNS] = regs[KEPT]
    return _enter(store, to) if to >= 0 else np.int64(to)


@jit
def next_bytes(program, store, column, out):
    """Mark in u1[256] the bytes some item takes; how many."""
    _, columns, items, _, _, _ = store
    code = program[0]
    out[:] = 0
    for i in range(columns[column, 1], columns[column, 2]):
        row = items[i, 0] & 0xFFFFFFFF
        if code[row, 0] == BYTE:
            out[code[row, 1]] = 1
            continue
        for byte in range(256):
            if not out[byte] and _move(program, row, byte, items[i, 1])[0] >= 0:
                out[byte] = 1
    count = 0
    for byte in range(256):
        count += out[byte]
    return count
