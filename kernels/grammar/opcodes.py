"""The parser's instruction set: one row (op, a, b, c) of i4 per instruction.

An item of the parser is (instruction, return node, data); `data` is one i8 the instructions below
read and write, packed as  count (16 bits) | set of flags (40),  or inside a counted string as
characters still allowed (28) | characters still needed (28).
Consuming instructions wait for a byte or token; all others are empty moves to the next row unless
said otherwise.
"""

DEAD = 0  # never passed: what cannot reach an end is turned into this
BYTE = 1  # a: the byte
SET = 2  # a: row of `sets`
DFA = 3  # a: row of `trans`; b: where to go on when accepting, or -1; c: class map
COUNTED = 4  # as DFA; an edge may count a character or ask that none is needed; c: map | need << 19
SPACE = 5  # JSON white space, any run of it; or straight on
TOKEN = 6  # a: token id
OTHER_TOKEN = 7  # any token but a
LAST_CONSUMING = 7

CALL = 8  # a: row of `keys` (entry, constant with the callee's first data)
JUMP = 9  # to a
SPLIT = 10  # to each of targets[a : a + b]
END = 11  # return to the callers of this item's node
LOAD = 12  # data = consts[a]
COUNT = 13  # count += 1
AT_MOST = 14  # only if count <= a
AT_LEAST = 15  # only if count >= a
ONCE = 16  # set flag a, only if it was not set
FLAG = 17  # set flag a
ALL_SET = 18  # only if all flags of consts[a] are set
SOME_UNSET = 19  # only if a flag of consts[a] is not set
ROOM = 20  # only if count + number of unset flags of consts[b] <= a

EDGE_COUNTS = 1 << 30  # bits of an edge of a COUNTED automaton
EDGE_CLOSES = 1 << 29
EDGE_STATE = (1 << 29) - 1

FLAGS = 40
FLAG_MASK = (1 << FLAGS) - 1
COUNT_UNIT = 1 << FLAGS
COUNT_MAX = 0xFFFF
LENGTH_BITS = 28
LENGTH_MAX = (1 << LENGTH_BITS) - 1  # as "still allowed": no limit
NEED_SHIFT = 19
MAP_MASK = (1 << NEED_SHIFT) - 1
