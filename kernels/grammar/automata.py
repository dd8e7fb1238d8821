"""Byte automata: subset construction, product, trimming and minimisation over flat arrays.

A deterministic automaton is (trans i4[states, classes], accept u1[states], classes u1[256]);
state 0 starts, -1 is the dead state. Every kernel stops at a bound on states and says so with -1,
so no input can make it run away.
"""

import numpy as np

from .._jit import jit

TOO_MUCH = -2


@jit
def byte_classes(lo, hi, classes):  # u1[edges], u1[edges], u1[256] -> number of classes
    """Number the bytes so that two bytes no edge tells apart share a class."""
    cut = np.zeros(257, np.uint8)
    for e in range(lo.shape[0]):
        cut[lo[e]] = 1
        cut[np.int64(hi[e]) + 1] = 1
    group = 0
    for byte in range(256):
        if byte > 0 and cut[byte]:
            group += 1
        classes[byte] = group
    return group + 1


@jit
def _close(eps_start, eps_to, seen, stamp, members, count):
    """Follow empty edges from members[:count]; the new count, members sorted."""
    i = 0
    while i < count:
        for e in range(eps_start[members[i]], eps_start[members[i] + 1]):
            to = eps_to[e]
            if seen[to] != stamp:
                seen[to] = stamp
                members[count] = to
                count += 1
        i += 1
    members[:count].sort()
    return count


@jit
def _hash(values, count):
    h = np.uint64(1469598103934665603)
    for i in range(count):
        h = (h ^ np.uint64(values[i])) * np.uint64(1099511628211)
    return np.int64((h ^ (h >> np.uint64(29))) & np.uint64(0x7FFFFFFFFFFFFFFF))


@jit
def _find(table, starts, pool, members, count, states):
    """State whose set equals members[:count], or -(slot + 1) where it would be entered."""
    slot = _hash(members, count) & (table.shape[0] - 1)
    while table[slot] >= 0:
        s = table[slot]
        if starts[s + 1] - starts[s] == count:
            same = True
            for i in range(count):
                if pool[starts[s] + i] != members[i]:
                    same = False
                    break
            if same:
                return s
        slot = (slot + 1) & (table.shape[0] - 1)
    return -(slot + 1)


@jit
def determinise(start, final, edge_start, edge_lo, edge_hi, edge_to, eps_start, eps_to,
                classes, n_classes, trans, accept, pool, top, most_visits):  # fmt: skip
    """Subset construction into trans i4[bound, n_classes], accept u1[bound]; states, -1, TOO_MUCH.

    `edge_start`/`eps_start` i4[n + 1] index the byte and the empty edges of each NFA state;
    `pool` i4[*] holds the sets. A set with the state `top` in it is that of `top` alone.
    """
    n = edge_start.shape[0] - 1
    bound = trans.shape[0]
    size = 16
    while size < 4 * bound:
        size *= 2
    table = np.full(size, -1, np.int32)
    starts = np.zeros(bound + 1, np.int64)
    seen = np.zeros(n, np.int32)
    members = np.empty(n, np.int32)
    first_byte = np.zeros(n_classes, np.int64)
    for byte in range(255, -1, -1):
        first_byte[classes[byte]] = byte
    stamp = 1
    members[0] = start
    seen[start] = stamp
    count = _close(eps_start, eps_to, seen, stamp, members, 1)
    pool[:count] = members[:count]
    starts[1] = count
    table[_hash(members, count) & (size - 1)] = 0
    states = 1
    visits = 0
    s = 0
    while s < states:
        for i in range(starts[s], starts[s + 1]):
            if pool[i] == final:
                accept[s] = 1
        for group in range(n_classes):
            byte = first_byte[group]
            stamp += 1
            count = 0
            for i in range(starts[s], starts[s + 1]):
                for e in range(edge_start[pool[i]], edge_start[pool[i] + 1]):
                    to = edge_to[e]
                    if edge_lo[e] <= byte and byte <= edge_hi[e] and seen[to] != stamp:
                        seen[to] = stamp
                        members[count] = to
                        count += 1
            visits += starts[s + 1] - starts[s]
            if visits > most_visits:
                return TOO_MUCH
            if count == 0:
                trans[s, group] = -1
                continue
            count = _close(eps_start, eps_to, seen, stamp, members, count)
            if top >= 0 and seen[top] == stamp and count > 1:
                stamp += 1
                members[0] = top
                seen[top] = stamp
                count = _close(eps_start, eps_to, seen, stamp, members, 1)
            found = _find(table, starts, pool, members, count, states)
            if found < 0:
                if states == bound or starts[states] + count > pool.shape[0]:
                    return -1
                table[-found - 1] = states
                pool[starts[states] : starts[states] + count] = members[:count]
                starts[states + 1] = starts[states] + count
                found = states
                states += 1
            trans[s, group] = found
        s += 1
    return states


@jit
def product(trans_a, accept_a, pair_a, trans_b, accept_b, pair_b, minus, trans, accept, origin):
    """Intersection of two automata, or a minus b; states, or -1 when trans is too small.

    `pair_a`/`pair_b` i4[n_classes] give each joint class's class in a and in b;
    `origin` i4[bound, 2] tells which pair a state stands for.
    """
    bound = trans.shape[0]
    n_classes = pair_a.shape[0]
    size = 16
    while size < 4 * bound:
        size *= 2
    table = np.full(size, -1, np.int32)
    origin[0, 0] = 0
    origin[0, 1] = 0
    table[0] = 0
    states = 1
    s = 0
    while s < states:
        a = origin[s, 0]
        b = origin[s, 1]
        ok_b = b >= 0 and accept_b[b] != 0
        accept[s] = 1 if accept_a[a] != 0 and ok_b != minus else 0
        for group in range(n_classes):
            next_a = trans_a[a, pair_a[group]]
            next_b = trans_b[b, pair_b[group]] if b >= 0 else -1
            if next_a < 0 or (next_b < 0 and not minus):
                trans[s, group] = -1
                continue
            key = np.uint64(next_a) * np.uint64(0x9E3779B97F4A7C15)
            key = (key ^ (key >> np.uint64(31))) + np.uint64(next_b + 1)
            key = key * np.uint64(0xD1B54A32D192ED03)
            slot = np.int64(key >> np.uint64(33)) & (size - 1)
            if next_a == 0 and next_b == 0:
                slot = np.int64(0)
            while table[slot] >= 0:
                t = table[slot]
                if origin[t, 0] == next_a and origin[t, 1] == next_b:
                    break
                slot = (slot + 1) & (size - 1)
            if table[slot] < 0:
                if states == bound:
                    return -1
                table[slot] = states
                origin[states, 0] = next_a
                origin[states, 1] = next_b
                states += 1
            trans[s, group] = table[slot]
        s += 1
    return states


@jit
def trim(trans, accept, live):  # i4[n, classes], u1[n], u1[n]
    """Mark the states that can still reach an accepting one; cut the edges to all others."""
    n = trans.shape[0]
    n_classes = trans.shape[1]
    fan = np.zeros(n + 1, np.int64)
    for s in range(n):
        for group in range(n_classes):
            if trans[s, group] >= 0:
                fan[trans[s, group] + 1] += 1
    for s in range(n):
        fan[s + 1] += fan[s]
    back = np.empty(max(fan[n], 1), np.int32)
    fill = fan[:n].copy()
    for s in range(n):
        for group in range(n_classes):
            to = trans[s, group]
            if to >= 0:
                back[fill[to]] = s
                fill[to] += 1
    stack = np.empty(n, np.int32)
    top = 0
    for s in range(n):
        live[s] = accept[s]
        if accept[s]:
            stack[top] = s
            top += 1
    while top:
        top -= 1
        s = stack[top]
        for e in range(fan[s], fan[s + 1]):
            if not live[back[e]]:
                live[back[e]] = 1
                stack[top] = back[e]
                top += 1
    for s in range(n):
        for group in range(n_classes):
            if trans[s, group] >= 0 and not live[trans[s, group]]:
                trans[s, group] = -1


@jit
def minimise(trans, accept, block):  # i4[n, classes], u1[n], i4[n] -> number of blocks
    """Moore's refinement: block[s] = the class of states that no suffix tells from s."""
    n = trans.shape[0]
    n_classes = trans.shape[1]
    size = 16
    while size < 2 * n:
        size *= 2
    table = np.empty(size, np.int32)
    fresh = np.empty(n, np.int32)
    blocks = 1
    for s in range(n):
        block[s] = accept[s]
        if accept[s] != accept[0]:
            blocks = 2
    if accept[0] and blocks == 1:
        block[:] = 0
    while True:
        table[:] = -1
        count = 0
        for s in range(n):
            h = np.uint64(block[s]) * np.uint64(0x9E3779B97F4A7C15)
            for group in range(n_classes):
                to = trans[s, group]
                mark = np.uint64(0) if to < 0 else np.uint64(block[to] + 1)
                h = (h ^ mark) * np.uint64(1099511628211)
                h ^= h >> np.uint64(32)
            slot = np.int64(h >> np.uint64(20)) & (size - 1)
            while True:
                t = table[slot]
                if t < 0:
                    table[slot] = s
                    fresh[s] = count
                    count += 1
                    break
                same = block[t] == block[s]
                if same:
                    for group in range(n_classes):
                        x = trans[t, group]
                        y = trans[s, group]
                        if (x < 0) != (y < 0) or (x >= 0 and block[x] != block[y]):
                            same = False
                            break
                if same:
                    fresh[s] = fresh[t]
                    break
                slot = (slot + 1) & (size - 1)
        block[:] = fresh
        if count == blocks:
            return count
        blocks = count


@jit
def run_bytes(trans, accept, classes, data):  # -> 1 accepted, 0 not (yet), -1 dead
    """Feed the bytes u1[n] to the automaton from its start."""
    s = 0
    for i in range(data.shape[0]):
        s = trans[s, classes[data[i]]]
        if s < 0:
            return -1
    return 1 if accept[s] else 0


@jit
def exclude_words(text, ends, base, base_classes, classes, trans, state_of):
    """An automaton without the words text u1[*], cut at ends i8[n] (sorted): states, or -1.

    base i4[states, groups] with base_classes u1[256] must accept each word in a state without
    edges; classes u1[256] of the result part the words' bytes from each other and all others.
    trans i4[bound, groups]; state_of i4[bound]: the state of `base` a result's state stands for.
    """
    groups = trans.shape[1]
    sample = np.zeros(groups, np.int64)
    for byte in range(255, -1, -1):
        sample[classes[byte]] = byte
    states = base.shape[0]
    if states > trans.shape[0]:
        return -1
    root = states  # the first trie node; base's own states keep their numbers
    for s in range(states):
        state_of[s] = s
        for g in range(groups):
            trans[s, g] = base[s, base_classes[sample[g]]]
    start = 0
    for w in range(ends.shape[0]):
        s = root
        if s == states:
            if states >= trans.shape[0]:
                return -1
            state_of[s] = 0
            trans[s] = trans[0]
            states += 1
        for i in range(start, ends[w]):
            g = classes[text[i]]
            if i == ends[w] - 1:
                trans[s, g] = -1
            elif trans[s, g] < root:
                if states >= trans.shape[0] or trans[s, g] < 0:
                    return -1
                state_of[states] = trans[s, g]
                trans[states] = trans[trans[s, g]]
                trans[s, g] = states
                states += 1
            s = trans[s, g]
        start = ends[w]
    return states
