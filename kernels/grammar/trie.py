"""The vocabulary as a byte trie in a u8 array, and the walk that finds the tokens a grammar allows.

Nodes lie in depth-first order, one u8 each: byte (8 bits) | depth (12) | token, or NO_TOKEN (20) |
nodes to skip when the byte is refused (24). Limits: 2^20 - 1 tokens, 4095 bytes a token.
"""

from typing import Any

import numpy as np

from .._jit import jit
from .borrow import borrow, borrow_program, borrow_store
from .opcodes import COUNTED, DFA, EDGE_STATE, MAP_MASK, NEED_SHIFT, OTHER_TOKEN, TOKEN
from .parser import COLUMNS, NO_ROOM, counted_edge, push, step

NO_TOKEN = 0xFFFFF
MAX_DEPTH = 4095
Arrays = tuple[np.ndarray[Any, Any], ...]
KEPT_COLUMNS = 96
STOPS = 24
SCRATCH, DEAD_PLACE, UNKNOWN, INSIDE, OUT_OF_ROOM = -1, -2, -3, -4, -5  # not a kept place
SIZE, STOP_COUNT, FLOOR = 0, 1, 2  # of counts
AT_ROW, AT_NODE, AT_DATA, AT_COLUMN, AT_PLACE, AT_TOP = range(6)


@jit
def build_trie(text, starts, order, nodes, same):
    """Write the trie of the tokens in `order` (sorted by bytes) into nodes u8[*]; how many.

    text u1[*], starts i8[tokens + 1]; same i4[tokens]: the first token of equal bytes, or -1.
    """
    count = 0
    path = np.empty(MAX_DEPTH + 1, np.int64)
    depth = 0
    last = -1
    for t in order:
        length = starts[t + 1] - starts[t]
        if length == 0:
            continue
        shared = 0
        if last >= 0:
            most = min(length, starts[last + 1] - starts[last])
            while shared < most and text[starts[last] + shared] == text[starts[t] + shared]:
                shared += 1
        while depth > shared:
            depth -= 1
            nodes[path[depth]] |= np.uint64(count - path[depth]) << np.uint64(40)
        for i in range(shared, length):
            byte = np.uint64(text[starts[t] + i])
            path[depth] = count
            nodes[count] = byte | (np.uint64(i) << np.uint64(8)) | np.uint64(NO_TOKEN << 20)
            depth += 1
            count += 1
        leaf = path[depth - 1]
        owner = (nodes[leaf] >> np.uint64(20)) & np.uint64(NO_TOKEN)
        if owner == np.uint64(NO_TOKEN):
            nodes[leaf] ^= np.uint64((NO_TOKEN ^ t) << 20)
        else:
            same[t] = owner
        last = t
    while depth > 0:
        depth -= 1
        nodes[path[depth]] |= np.uint64(count - path[depth]) << np.uint64(40)
    return count


@jit
def select_tokens(trans, classes, nodes, chosen, most):
    """Mark in chosen u1[tokens] those that keep the automaton alive and end in an accepting state.

    trans i4[states, groups + 1]: the last entry of a row is 1 if the state accepts.
    `most`: longest length in characters, counted as bytes that do not continue one.
    """
    states = np.zeros(MAX_DEPTH + 2, np.int64)
    length = np.zeros(MAX_DEPTH + 2, np.int64)
    p = np.int64(0)
    while p < nodes.shape[0]:
        node = nodes[p]
        depth = np.int64((node >> np.uint64(8)) & np.uint64(0xFFF))
        byte = np.int64(node & np.uint64(255))
        to = trans[states[depth], classes[byte]]
        length[depth + 1] = length[depth] + (1 if byte & 0xC0 != 0x80 else 0)
        if to < 0 or length[depth + 1] > most:
            p += np.int64(node >> np.uint64(40))
            continue
        states[depth + 1] = to
        token = np.int64((node >> np.uint64(20)) & np.uint64(NO_TOKEN))
        if token != NO_TOKEN and trans[to, trans.shape[1] - 1]:
            chosen[token] = 1
        p += 1


@jit
def slice_need(program, row, trans, classes, pairs, table):
    """Follow a slice's automaton and a grammar's from `row`: does the grammar take all the slice?

    -1 if not; else the most characters any row passed still needs (0 if none is COUNTED).
    pairs i4[n, 2], table i4[2^k > n]: room to remember pairs; out of room counts as no.
    """
    code, _, edges, maps, _, _, _ = borrow_program(program)
    table[:] = -1
    pairs[0, 0] = 0
    pairs[0, 1] = row
    count = 1
    need = 0
    i = 0
    while i < count:
        state = pairs[i, 0]
        here = pairs[i, 1]
        i += 1
        op = code[here, 0]
        if op != DFA and op != COUNTED:
            return -1
        if op == COUNTED:
            need = max(need, code[here, 3] >> NEED_SHIFT)
        number = code[here, 3] & MAP_MASK if op == COUNTED else code[here, 3]
        for byte in range(256):
            if (
                byte > 0
                and classes[byte] == classes[byte - 1]
                and maps[number, byte] == maps[number, byte - 1]
            ):
                continue
            to = trans[state, classes[byte]]
            if to < 0:
                continue
            edge = edges[code[here, 1] + maps[number, byte]]
            if edge < 0:
                return -1
            if op == COUNTED:
                edge &= EDGE_STATE
            slot = (np.int64(to) * 1000003 + np.int64(edge) * 7919) & (table.shape[0] - 1)
            while table[slot] >= 0:
                if pairs[table[slot], 0] == to and pairs[table[slot], 1] == edge:
                    break
                slot = (slot + 1) & (table.shape[0] - 1)
            if table[slot] >= 0:
                continue
            if count == pairs.shape[0]:
                return -1
            table[slot] = count
            pairs[count, 0] = to
            pairs[count, 1] = edge
            count += 1
    return need


def walk_space() -> Arrays:
    """The arrays `walk` works in: state i8[depth, 6], kept i8, go i2[kept, 256], stops i8[*, 4],
    counts i8[3]."""
    return (
        np.empty((MAX_DEPTH + 2, 6), np.int64),
        np.empty(KEPT_COLUMNS, np.int64),
        np.empty((KEPT_COLUMNS, 256), np.int16),
        np.empty((STOPS, 4), np.int64),
        np.zeros(3, np.int64),
    )


@jit
def _keep(kept, go, counts, column, top):
    """Keep a column for the rest of the walk, its steps unknown: its place, or SCRATCH."""
    size = counts[SIZE]
    if size >= kept.shape[0]:
        return SCRATCH
    kept[size] = column
    go[size, :] = UNKNOWN
    counts[SIZE] = size + 1
    counts[FLOOR] = top
    return size


@jit
def _known_stop(stops, count, row, node, data):
    """The kept place of the column behind a row that may stop, or UNKNOWN."""
    for i in range(count):
        if stops[i, 0] == row and stops[i, 1] == node and stops[i, 2] == data:
            return stops[i, 3]
    return UNKNOWN


@jit
def _stop(program, store, state, kept, go, stops, counts, depth, row, data):
    """From inside an automaton to a row where it may stop: the place of the column it opens."""
    regs = store[0]
    node = state[depth, AT_NODE]
    place = _known_stop(stops, counts[STOP_COUNT], row, node, data)
    if place != UNKNOWN:
        return place
    regs[COLUMNS] = max(state[depth, AT_TOP], counts[FLOOR])
    column = push(program, store, row, node, data)
    if column == NO_ROOM:
        return OUT_OF_ROOM
    place = DEAD_PLACE
    if column >= 0:
        place = _keep(kept, go, counts, column, regs[COLUMNS])
        if place == SCRATCH:
            _enter_column(store, state, depth + 1, column, SCRATCH, regs[COLUMNS])
            return place
    if counts[STOP_COUNT] < STOPS:
        i = counts[STOP_COUNT]
        stops[i, 0] = row
        stops[i, 1] = node
        stops[i, 2] = data
        stops[i, 3] = place
        counts[STOP_COUNT] += 1
    return place


@jit
def _leave(program, store, state, kept, go, counts, depth, byte):
    """From a column to the next on a byte: its place, looked up or parsed."""
    regs = store[0]
    here = state[depth, AT_PLACE]
    if here >= 0 and go[here, byte] != UNKNOWN:
        return np.int64(go[here, byte])
    column = state[depth, AT_COLUMN]
    regs[COLUMNS] = max(state[depth, AT_TOP], counts[FLOOR])
    to = step(program, store, column, byte)
    if to == NO_ROOM:
        return OUT_OF_ROOM
    place = DEAD_PLACE
    if to == column:
        place = here
    elif to >= 0:
        place = SCRATCH
        if here >= 0:
            place = _keep(kept, go, counts, to, regs[COLUMNS])
    if place == SCRATCH:
        _enter_column(store, state, depth + 1, to, SCRATCH, regs[COLUMNS])
    elif here >= 0:
        go[here, byte] = place
    return place


@jit
def walk(program, store, column, nodes, mask, work):
    """Set in mask u4[*] the bits of the tokens a numbered column allows; nodes seen, or NO_ROOM.

    A run inside one automaton costs a table look-up per node; other nodes cost a parser step on
    scratch columns, which are dropped as the walk backs up, except the first KEPT_COLUMNS: their
    steps are looked up when another token takes them again. `work`: see `walk_space`.
    """
    program, store = borrow_program(program), borrow_store(store)
    nodes, mask = borrow(nodes), borrow(mask)
    state, kept, go = borrow(work[0]), borrow(work[1]), borrow(work[2])
    stops, counts = borrow(work[3]), borrow(work[4])
    code, _, trans, maps, _, _, _ = program
    base = store[0][COLUMNS]
    counts[:] = 0
    _enter_column(store, state, 0, column, _keep(kept, go, counts, column, base), base)
    seen = 0
    p = np.uint64(0)  # unsigned: an index that may be negative costs a test
    while p < np.uint64(nodes.shape[0]):
        node = nodes[p]
        depth = (node >> np.uint64(8)) & np.uint64(0xFFF)
        below = depth + np.uint64(1)
        byte = node & np.uint64(255)
        seen += 1
        row = state[depth, AT_ROW]
        place = np.int64(DEAD_PLACE)
        if row < 0:
            place = np.int64(
                _leave(program, store, state, kept, go, counts, np.int64(depth), np.int64(byte))
            )
        else:
            here = np.uint64(row)
            data = state[depth, AT_DATA]
            number = code[here, 3]
            if code[here, 0] == DFA:
                group = maps[np.uint64(number), byte]
                to = np.int64(trans[np.uint64(code[here, 1] + group)])
            else:
                group = maps[np.uint64(number & MAP_MASK), byte]
                to = np.int64(trans[np.uint64(code[here, 1] + group)])
                if to >= 0:
                    to, data = counted_edge(code, to, data)
            if to >= 0:
                there = np.uint64(to)
                if code[there, 0] in (DFA, COUNTED) and code[there, 2] < 0:
                    place = np.int64(INSIDE)
                    state[below, AT_ROW] = to
                    state[below, AT_NODE] = state[depth, AT_NODE]
                    state[below, AT_DATA] = data
                    state[below, AT_TOP] = state[depth, AT_TOP]
                else:
                    at = np.int64(depth)
                    place = np.int64(
                        _stop(program, store, state, kept, go, stops, counts, at, to, data)
                    )
        if place == OUT_OF_ROOM:
            store[0][COLUMNS] = base
            return NO_ROOM
        if place == DEAD_PLACE:
            p += node >> np.uint64(40)
            continue
        if place >= 0:
            top = state[depth, AT_TOP]
            _enter_column(store, state, np.int64(below), kept[place], place, top)
        token = (node >> np.uint64(20)) & np.uint64(NO_TOKEN)
        if token != np.uint64(NO_TOKEN):
            mask[token >> np.uint64(5)] |= np.uint32(1) << np.uint32(token & np.uint64(31))
        p += np.uint64(1)
    store[0][COLUMNS] = base
    return seen


@jit
def _enter_column(store, state, depth, column, place, top):
    """Stand in a column: by its only automaton if it has but one, else by its number."""
    _, columns, items, _, _, _ = store
    row = columns[column, 7]
    state[depth, AT_ROW] = row
    state[depth, AT_COLUMN] = column
    state[depth, AT_PLACE] = place
    state[depth, AT_TOP] = top
    if row >= 0:
        state[depth, AT_NODE] = items[columns[column, 1], 0] >> 32
        state[depth, AT_DATA] = items[columns[column, 1], 1]


@jit
def allow_token_terminals(program, store, column, n_tokens, mask):
    """Set the bits of the tokens that the column's token terminals name."""
    code = program[0]
    _, columns, items, _, _, _ = store
    for i in range(columns[column, 1], columns[column, 2]):
        row = items[i, 0] & 0xFFFFFFFF
        if code[row, 0] != TOKEN and code[row, 0] != OTHER_TOKEN:
            continue
        for token in range(n_tokens):
            if (token == code[row, 1]) == (code[row, 0] == TOKEN):
                mask[token >> 5] |= np.uint32(1) << np.uint32(token & 31)


@jit
def copy_bits(pairs, mask):  # i4[n, 2], u4[*]
    """Give tokens of equal bytes (pairs: token, its first twin) their twin's bit."""
    for i in range(pairs.shape[0]):
        twin = pairs[i, 1]
        if (mask[twin >> 5] >> np.uint32(twin & 31)) & np.uint32(1):
            mask[pairs[i, 0] >> 5] |= np.uint32(1) << np.uint32(pairs[i, 0] & 31)


@jit
def forbid(mask, logits):  # u4[*], f4[n]
    """Set the logits whose bit is 0 to -inf, in place."""
    n = logits.shape[0]
    for word in range((n + 31) // 32):
        bits = mask[word]
        start = word * 32
        stop = min(start + 32, n)
        if bits == np.uint32(0):
            for i in range(start, stop):
                logits[i] = -np.inf
        elif bits != np.uint32(0xFFFFFFFF):
            for i in range(start, stop):
                if not (bits >> np.uint32(i - start)) & np.uint32(1):
                    logits[i] = -np.inf


@jit
def longest_token(nodes, data, start):  # u8[*], u1[n] -> (token or -1, bytes, the trie goes on)
    """The longest token data[start:] begins with, and whether a longer one may follow its end."""
    p = np.int64(0)
    depth = 0
    best = np.int64(-1)
    length = 0
    end = nodes.shape[0]
    while p < end:
        node = nodes[p]
        skip = np.int64(node >> np.uint64(40))
        if np.int64(node & np.uint64(255)) != data[start + depth]:
            p += skip
            continue
        depth += 1
        token = np.int64((node >> np.uint64(20)) & np.uint64(NO_TOKEN))
        if token != NO_TOKEN:
            best = token
            length = depth
        if start + depth == data.shape[0]:
            return best, length, skip > 1
        end = p + skip
        p += 1
    return best, length, False
