"""The vocabulary as a byte trie in one u8 array, and the walk that finds the tokens a grammar allows.

Nodes lie in depth-first order, one u8 each: byte (8 bits) | depth (12) | token, or NO_TOKEN (20) |
nodes to skip when the byte is refused (24). Limits: 2^20 - 1 tokens, 4095 bytes a token.
"""

import numpy as np

from .._jit import jit
from .opcodes import COUNTED, DFA, EDGE_STATE, MAP_MASK
from .opcodes import NEED_SHIFT, OTHER_TOKEN, TOKEN
from .parser import COLUMNS, NO_ROOM, counted_edge, next_bytes, push, step

NO_TOKEN = 0xFFFFF
MAX_DEPTH = 4095
MEMO = 16


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
    p = 0
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
def slice_need(program, row, trans, classes, work):
    """Follow a slice's automaton and a grammar's from `row`: does the grammar take all the slice?

    -1 if not; else the most characters any row passed still needs (0 if none is COUNTED).
    work i4[n, 2]: room for pairs; out of room counts as no.
    """
    code, _, edges, maps, _, _, _ = program
    work[0, 0] = 0
    work[0, 1] = row
    count = 1
    need = 0
    i = 0
    while i < count:
        state = work[i, 0]
        here = work[i, 1]
        i += 1
        op = code[here, 0]
        if op != DFA and op != COUNTED:
            return -1
        if op == COUNTED:
            need = max(need, code[here, 3] >> NEED_SHIFT)
        for byte in range(256):
            to = trans[state, classes[byte]]
            if to < 0:
                continue
            edge = edges[code[here, 1] + maps[code[here, 3] & MAP_MASK, byte]]
            if edge < 0:
                return -1
            if op == COUNTED:
                edge &= EDGE_STATE
            known = False
            for j in range(count):
                if work[j, 0] == to and work[j, 1] == edge:
                    known = True
                    break
            if known:
                continue
            if count == work.shape[0]:
                return -1
            work[count, 0] = to
            work[count, 1] = edge
            count += 1
    return need


@jit
def _memo_column(program, store, memo, size, floor, row, node, data):
    """The column after a row that may stop, remembered for the rest of the walk: (column, size)."""
    for m in range(size):
        if memo[m, 0] == row and memo[m, 1] == node and memo[m, 2] == data:
            return memo[m, 3], size, floor
    column = push(program, store, row, node, data)
    if column != NO_ROOM and size < MEMO:
        memo[size, 0] = row
        memo[size, 1] = node
        memo[size, 2] = data
        memo[size, 3] = column
        size += 1
        floor = store[0][COLUMNS]
    return column, size, floor


@jit
def walk(program, store, column, nodes, mask):
    """Set in mask u4[*] the bit of each trie token the numbered column allows; nodes seen, or NO_ROOM.

    A run inside one automaton costs a table look-up per node; other nodes cost a parser step on
    scratch columns, which are dropped as the walk backs up.
    """
    code, _, trans, maps, _, _, _ = program
    regs, columns, items, _, _, _ = store
    base = regs[COLUMNS]
    at_column = np.empty(MAX_DEPTH + 2, np.int64)
    at_row = np.empty(MAX_DEPTH + 2, np.int64)
    at_node = np.empty(MAX_DEPTH + 2, np.int64)
    at_data = np.empty(MAX_DEPTH + 2, np.int64)
    in_use = np.empty(MAX_DEPTH + 2, np.int64)
    memo = np.empty((MEMO, 4), np.int64)
    first = np.empty(256, np.uint8)
    next_bytes(program, store, column, first)
    size = 0
    floor = base
    at_column[0] = column
    at_row[0] = -1
    in_use[0] = base
    at_node[0] = 0
    at_data[0] = 0
    if columns[column, 7] >= 0:
        at_row[0] = columns[column, 7]
        at_node[0] = items[columns[column, 1], 0] >> 32
        at_data[0] = items[columns[column, 1], 1]
    seen = 0
    p = 0
    while p < nodes.shape[0]:
        node = nodes[p]
        depth = np.int64((node >> np.uint64(8)) & np.uint64(0xFFF))
        byte = np.int64(node & np.uint64(255))
        seen += 1
        to = np.int64(-1)
        if depth == 0 and not first[byte]:
            p += np.int64(node >> np.uint64(40))
            continue
        row = at_row[depth]
        if row >= 0:
            data = at_data[depth]
            if code[row, 0] == DFA:
                to = np.int64(trans[code[row, 1] + maps[code[row, 3], byte]])
            else:
                edge = trans[code[row, 1] + maps[code[row, 3] & MAP_MASK, byte]]
                if edge >= 0:
                    to, data = counted_edge(code, edge, data)
            if to < 0:
                p += np.int64(node >> np.uint64(40))
                continue
            in_use[depth + 1] = in_use[depth]
            at_node[depth + 1] = at_node[depth]
            at_data[depth + 1] = data
            at_row[depth + 1] = to
            op = code[to, 0]
            if (op != DFA and op != COUNTED) or code[to, 2] >= 0:
                regs[COLUMNS] = max(in_use[depth], floor)
                to, size, floor = _memo_column(
                    program, store, memo, size, floor, to, at_node[depth], data
                )
                at_row[depth + 1] = -1
                at_column[depth + 1] = to
                in_use[depth + 1] = regs[COLUMNS]
        else:
            regs[COLUMNS] = max(in_use[depth], floor)
            to = step(program, store, at_column[depth], byte)
            if to >= 0:
                at_column[depth + 1] = to
                in_use[depth + 1] = regs[COLUMNS]
                at_row[depth + 1] = columns[to, 7]
                if columns[to, 7] >= 0:
                    at_node[depth + 1] = items[columns[to, 1], 0] >> 32
                    at_data[depth + 1] = items[columns[to, 1], 1]
        if to == NO_ROOM:
            regs[COLUMNS] = base
            return NO_ROOM
        if to < 0:
            p += np.int64(node >> np.uint64(40))
            continue
        token = np.int64((node >> np.uint64(20)) & np.uint64(NO_TOKEN))
        if token != NO_TOKEN:
            mask[token >> 5] |= np.uint32(1) << np.uint32(token & 31)
        p += 1
    regs[COLUMNS] = base
    return seen


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
    """The longest token that data[start:] begins with, and whether a longer one may follow its end."""
    p = 0
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
