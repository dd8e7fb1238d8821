"""Routed products of many pairs of row and slot: pairs of one expert side by side.

Pairs are sorted by expert and cut in groups of 8, the last of 4 if that holds what is left, or of 1
if an expert has but one. Each group's activations are gathered from the rows' own records. A tile
of weights goes straight to registers for the only group of its expert, and is unpacked once for all
where there are several. What fills a group up counts as pair number `pairs`, one more than there
are. Each pair has the bits that it has alone (`experts.py`).

The weights of an expert are read once: 4 rows of a model with 8 of 64 experts take 0.64 of the time
of pair by pair, 64 rows 0.6 of the time of groups of 8 alone.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._jit import inline
from .experts import Experts
from .few_rows import direct
from .panels import panel_block_bytes, panel_parts
from .pool import Pool
from .records import RECORD, Records
from .requests import Requests
from .simd import (
    load_f32,
    load_f32x16,
    load_i32,
    load_i64,
    splat,
    store_f32x16,
    store_first,
    store_i32,
    store_i64,
    unrolled,
    void,
    zeros,
)
from .tape import Kernel, Tape, kernel
from .tiles.codes import TileFormat
from .tiles.pack import tile_count

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


@dataclass
class Groups:
    """Pairs by expert: groups firsts[e] to firsts[e + 1] are expert e's.

    A group's first slot and size lie in groups [most, 2], the pair of each slot in slots.
    """

    ids: F32
    firsts: I64
    groups: I64
    slots: I64
    # What was gathered last, and from which records: products of the same rows share it.
    gathered: tuple[Any, Any] = field(default=(None, None))

    @property
    def experts(self) -> int:
        return len(self.firsts) - 1


@kernel("group_pairs")
def group_pairs(part, parts, thread, ids, firsts, groups, slots, cursors, pairs, experts, room):
    """Sort pairs by expert and cut them in groups; cursors [experts] is scratch."""
    for e in range(experts):
        store_i64(cursors + 8 * e, 0)
    for pair in range(pairs):
        at = cursors + 8 * int(load_f32(ids + 4 * pair))
        store_i64(at, load_i64(at) + 1)
    group = slot = 0
    for e in range(experts):
        store_i64(firsts + 8 * e, group)
        left = load_i64(cursors + 8 * e)
        store_i64(cursors + 8 * e, slot)
        alone = left == 1
        while left > 0:
            size = 8 if left > 4 else 1 if alone else 4
            store_i64(groups + 16 * group, slot)
            store_i64(groups + 16 * group + 8, size)
            group, slot, left = group + 1, slot + size, left - size
    store_i64(firsts + 8 * experts, group)
    for i in range(room):
        store_i64(slots + 8 * i, pairs)
    for pair in range(pairs):
        at = cursors + 8 * int(load_f32(ids + 4 * pair))
        store_i64(slots + 8 * load_i64(at), pair)
        store_i64(at, load_i64(at) + 1)


def emit_grouping(tape: Tape, pool: Pool, ids: F32, experts: int) -> Groups:
    """Record the sorting of pairs by their ids [rows, slots]."""
    pairs = ids.size
    some = min(experts, pairs)
    room = pairs + 3 * some  # at most 3 slots of an expert's last group are empty
    firsts, cursors = pool.take((experts + 1,), np.int64), pool.take((experts,), np.int64)
    groups = pool.take((pairs // 8 + some, 2), np.int64)
    slots = pool.take((room,), np.int64)
    values = [ids, firsts, groups, slots, cursors, pairs, experts, room]
    tape.emit(group_pairs, 1, values, [ids], [firsts, groups, slots, cursors])
    return Groups(ids, firsts, groups, slots)


@functools.cache
def gather_records(records: Records) -> Kernel:
    """The kernel that lays records of one row each side by side, as groups' records."""

    @inline
    def copy_level(source, to, i, size):
        store_first(to + 32 * i, load_f32x16(source), 8)
        for number in range(8):
            store_i32(to + 32 * size + 4 * (number * size + i), load_i32(source + 32 + 4 * number))

    @inline
    def clear_level(to, i, size):
        store_first(to + 32 * i, splat(0.0), 8)
        for number in range(8):
            store_i32(to + 32 * size + 4 * (number * size + i), np.int32(0))

    @inline
    def lay_level(record, slots, to, size, pairs, share, stride):
        flag = np.int32(0)
        for i in range(size):
            pair = load_i64(slots + 8 * i)
            if pair < pairs:
                source = record + pair // share * stride
                copy_level(source, to, i, size)
                flag |= load_i32(source + 60)
            else:
                clear_level(to, i, size)
        return flag

    @inline
    def lay_integer(record, slots, to, size, pairs, share, stride):
        flag = lay_level(record, slots, to, size, pairs, share, stride)
        store_i32(to + 60 * size, flag)
        if flag:  # else nobody reads the second level
            finer = stride // 2
            lay_level(record + finer, slots, to + finer * size, size, pairs, share, stride)

    @inline
    def lay_float(record, slots, to, size, pairs, share, stride):
        for i in range(size):
            pair = load_i64(slots + 8 * i)
            source = record + pair // share * stride
            for half in range(0, RECORD, 64):
                value = load_f32x16(source + half) if pair < pairs else splat(0.0)
                store_f32x16(to + RECORD * i + half, value)

    lay, step = lay_integer if records is Records.BYTES else lay_float, records.step(1)

    def body(
        part, parts, thread, record, firsts, groups, slots, out, experts, pairs, share, blocks
    ):
        total = load_i64(firsts + 8 * experts)
        for group in range(total * part // parts, total * (part + 1) // parts):
            start, size = load_i64(groups + 16 * group), load_i64(groups + 16 * group + 8)
            for block in range(blocks):
                to = out + start * blocks * RECORD + size * block * step
                source = record + block * step
                lay(source, slots + 8 * start, to, size, pairs, share, RECORD * blocks)

    return Kernel(f"gather_records_{records.value}", body)


def emit_gather(
    tape: Tape, pool: Pool, record: Any, by: Groups, records: Records, threads: int
) -> Any:
    """Record the gathering of records [rows or pairs, blocks, RECORD]; done once for each."""
    if by.gathered[0] is record:
        return by.gathered[1]
    rows, blocks, _ = record.shape
    out = pool.take((len(by.slots), blocks, RECORD), np.uint8)
    pairs = by.ids.size
    values = [
        record, by.firsts, by.groups, by.slots, out, by.experts, pairs, pairs // rows, blocks,
    ]  # fmt: skip
    reads = [record, by.firsts, by.groups, by.slots]
    tape.emit(gather_records(records), 4 * threads, values, reads, [out])
    by.gathered = record, out
    return out


# --- products ------------------------------------------------------------------------------------


@unrolled(lambda totals, slots, out, stride, columns: void)
def scatter(totals, slots, out, stride, columns):
    """Write each total to its pair's row."""
    for i, total in enumerate(totals):
        store_first(out + load_i64(slots + 8 * i) * stride, total, columns)


def panel_pass(form: TileFormat, records: Records, rows: int) -> Any:
    """A group of `rows` pairs times a tile that is unpacked in a panel."""
    _, add, block_bytes = panel_parts(form, records, rows)
    step = records.step(rows)

    @inline
    def pass_over(panel, record, blocks, slots, out, stride, columns):
        totals = zeros(rows)
        for _ in range(blocks):
            totals = add(totals, panel, record, blocks * step, ())
            panel += block_bytes
            record += step
        scatter(totals, slots, out, stride, columns)

    return pass_over


def straight_pass(form: TileFormat, records: Records, rows: int) -> Any:
    """A group of `rows` pairs times a tile as it lies."""
    requests, per_unit = Requests.of(form, rows, stays=False), form.columns // 32
    add, size = direct(form, records, rows, requests), requests.size
    far, near, unit_bytes = requests.far, requests.near, form.unit_bytes
    step = records.step(rows)

    @inline
    def straight(unit, record, units, slots, out, stride, columns):
        totals, finer = zeros(rows), units * per_unit * step
        for _ in range(units):
            for block in range(per_unit):
                at = unit + block * size
                asks = ((at + far, at + near),)
                totals = add(totals, ((unit,), block), record, finer, asks)
                record += step
            unit += unit_bytes
        scatter(totals, slots, out, stride, columns)

    return straight


@functools.cache
def routed_groups(form: TileFormat, records: Records) -> Kernel:
    """The kernel for groups of an expert's pairs; a tile is unpacked once for all of them."""
    store, _, block_bytes = panel_parts(form, records, 8)
    unit_bytes, per_unit, size = form.unit_bytes, form.columns // 32, form.block_bytes
    ask = Requests(size, 8, stays=False).whole()
    pass_4, pass_8 = (panel_pass(form, records, rows) for rows in (4, 8))
    straight_1, straight_4, straight_8 = (straight_pass(form, records, n) for n in (1, 4, 8))

    @inline
    def unpack(unit, units, panel):
        for _ in range(units):
            for block in range(per_unit):
                ask(unit + block * size)
                store(unit, block, panel)
                panel += block_bytes
            unit += unit_bytes

    @inline
    def only_group(unit, record, units, slots, out, stride, columns, size):
        if size == 1:
            straight_1(unit, record, units, slots, out, stride, columns)
        elif size == 4:
            straight_4(unit, record, units, slots, out, stride, columns)
        else:
            straight_8(unit, record, units, slots, out, stride, columns)

    def body(
        part, parts, thread, tiles, x, firsts, groups, slots, out, experts, n, units, tile_count,
        scratch, stride,
    ):  # fmt: skip
        blocks = units * per_unit
        panel = scratch + thread * stride
        jobs = experts * tile_count
        for job in range(jobs * part // parts, jobs * (part + 1) // parts):
            expert, tile = job // tile_count, job % tile_count
            first, end = load_i64(firsts + 8 * expert), load_i64(firsts + 8 * expert + 8)
            unit, to = tiles + job * units * unit_bytes, out + 64 * tile
            left = min(16, n - 16 * tile)
            if end - first > 1:
                unpack(unit, units, panel)
            for group in range(first, end):
                start, size = load_i64(groups + 16 * group), load_i64(groups + 16 * group + 8)
                record, pairs = x + start * blocks * RECORD, slots + 8 * start
                if end - first == 1:
                    only_group(unit, record, units, pairs, to, 4 * n, left, size)
                elif size == 8:
                    pass_8(panel, record, blocks, pairs, to, 4 * n, left)
                else:
                    pass_4(panel, record, blocks, pairs, to, 4 * n, left)

    return Kernel(f"experts_{records.value}_{form.name}_groups", body)


def emit_groups(
    tape: Tape, pool: Pool, weight: Experts, record: Any, by: Groups, records: Records, threads: int
) -> F32:
    """Record the products of records [rows or pairs, blocks, RECORD]: [rows, slots, n]."""
    tiles, pairs = weight.tiles, by.ids.size
    gathered = emit_gather(tape, pool, record, by, records, threads)
    # One row more than there are pairs, for what fills groups up.
    out = pool.take((pairs + 1, tiles.rows))
    size = panel_block_bytes(tiles.format, records) * tiles.blocks
    scratch = pool.take((threads, -(-size // 64) * 64), np.uint8)
    count = tile_count(tiles.rows)
    values = [
        tiles.data, gathered, by.firsts, by.groups, by.slots, out, weight.count, tiles.rows,
        tiles.units, count, scratch, scratch.strides[0],
    ]  # fmt: skip
    parts = min(weight.count * count, 16 * threads)
    reads = [gathered, by.firsts, by.groups, by.slots]
    tape.emit(routed_groups(tiles.format, records), parts, values, reads, [out, scratch])
    return out[:pairs].reshape(*by.ids.shape, tiles.rows)
