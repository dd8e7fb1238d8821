"""Borrow arrays: the same memory without a reference count.

Handing a tuple of arrays down to a helper costs two atomic operations an array and call, 0.3 us a
parser step; a borrowed array costs none. Only arrays that came
in as arguments may be borrowed: what a kernel allocates dies with its last counted use.
"""

from functools import partial

from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from .._jit import DISABLED, inline

if DISABLED:

    def borrow(array):
        """The array itself: plain Python counts its references anyway."""
        return array

else:

    @intrinsic
    def borrow(_, array):
        """The array without its owner."""

        def generate(context, builder, signature, arguments):
            view = make_array(signature.args[0])(context, builder, arguments[0])
            view.meminfo = cgutils.get_null_value(view.meminfo.type)
            view.parent = ir.Constant(view.parent.type, None)
            return view._getvalue()

        return array(array), generate


@partial(inline, arrays=True)
def borrow_program(program):
    """All arrays of a program borrowed."""
    code, targets, trans, maps, sets, consts, keys = program
    return (
        borrow(code),
        borrow(targets),
        borrow(trans),
        borrow(maps),
        borrow(sets),
        borrow(consts),
        borrow(keys),
    )


@partial(inline, arrays=True)
def borrow_store(store):
    """All arrays of a store borrowed."""
    regs, columns, items, nodes, marks, table = store
    return (
        borrow(regs),
        borrow(columns),
        borrow(items),
        borrow(nodes),
        borrow(marks),
        borrow(table),
    )
