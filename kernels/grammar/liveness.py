"""Which rows can reach the end of their rule: the least fixed point over rows and calls."""

from .._jit import jit
from .opcodes import CALL, COUNTED, DEAD, DFA, END, JUMP, SPLIT


@jit
def live_rows(code, targets, keys, onward, live):  # -> sweeps
    """Mark in live u1[rows] the rows that reach an END through live rows and calls.

    onward i4[rows]: where reading goes on after the automaton a row belongs to; -1 elsewhere.
    """
    n = code.shape[0]
    sweeps = 0
    changed = True
    while changed:
        changed = False
        sweeps += 1
        for i in range(n):
            row = n - 1 - i
            if live[row]:
                continue
            op = code[row, 0]
            ok = False
            if op == DEAD:
                ok = False
            elif op == END:
                ok = True
            elif op == JUMP:
                ok = live[code[row, 1]] != 0
            elif op == SPLIT:
                for t in range(code[row, 1], code[row, 1] + code[row, 2]):
                    if live[targets[t]]:
                        ok = True
            elif op == CALL:
                ok = live[keys[code[row, 1], 0]] != 0 and live[row + 1] != 0
            elif op in (DFA, COUNTED):
                ok = onward[row] >= 0 and live[onward[row]] != 0
            else:
                ok = live[row + 1] != 0
            if ok:
                live[row] = 1
                changed = True
    return sweeps
