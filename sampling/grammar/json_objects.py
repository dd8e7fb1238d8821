"""Objects -> program rows: members in declared order, or in any order with flags for those seen.

Declared order: known names in the order of the schema, each at most once, then all others. Counts
and required members are guarded where a choice is made, so that no text runs into a dead end.
"""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from ...kernels.grammar import opcodes as op
from .errors import GrammarError
from .members import NameClass, known_names, meets, name_classes
from .shapes import ANY, ObjectSet
from .strings import inside

if TYPE_CHECKING:
    from .json_values import ValueWriter

MAX_COUNT = 60_000
MAX_EXISTS = 3
MAX_CASES = 64


@dataclass(frozen=True, slots=True)
class Member:
    """A known name: its value's node, whether it must appear, which `exists` it can satisfy."""

    name: str
    node: int
    required: bool
    claims: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """An object set worked out: its members, the classes of other names, counts to be guarded."""

    members: tuple[Member, ...]
    others: tuple[NameClass, ...]
    exists: tuple[int, ...]  # nodes of the values that negations want somewhere
    flags: frozenset[int]  # those of them that a flag has to prove
    least: int
    most: int | None

    @property
    def counts(self) -> bool:
        """Whether members have to be counted."""
        return self.least > 0 or self.most is not None


class ObjectWriter:
    """Writes object sets through a `ValueWriter`."""

    def __init__(self, writer: "ValueWriter", *, free_order: bool) -> None:
        self.writer = writer
        self.assembler = writer.assembler
        self.algebra = writer.algebra
        self.free_order = free_order

    def write(self, objects: ObjectSet) -> None:
        """Write one object up to the end of the rule."""
        plans = self.plans(objects)
        write = self._in_any_order if self.free_order else self._as_declared
        self.writer.alternatives([lambda plan=plan: write(plan) for plan in plans])  # type: ignore[misc]

    def plans(self, objects: ObjectSet) -> list[Plan]:
        """Work an object set out: alternatives that together are it; none if it is empty."""
        algebra = self.algebra
        names = known_names(objects)
        exists = sorted(objects.exists, key=repr)
        required = set(objects.required)
        members = []
        for name in names:
            node = algebra.member(objects, name)
            if algebra.is_empty(node):
                if name in required:
                    return []
                continue
            claims = tuple(i for i, one in enumerate(exists) if meets(algebra, one, name))
            members.append(Member(name, node, name in required, claims))
        others = tuple(
            one for one in name_classes(algebra, objects, names) if not algebra.is_empty(one.node)
        )
        least, most = self._counts(objects, len(members), bool(others))
        if least > len(members) and not others:
            return []
        wanted = tuple(one.node for one in exists)
        plan = Plan(tuple(members), others, wanted, frozenset(range(len(exists))), least, most)
        return self._settle(plan)

    def _settle(self, plan: Plan) -> list[Plan]:
        """Settle each wanted member that only known names can be by cases: which one it is."""
        plans = [plan]
        for i in sorted(plan.flags):
            if not any(self._may_prove(plan, one, i) for one in plan.others):
                plans = [case for one in plans for case in self._cases(one, i)]
            elif plan.most is not None:
                raise GrammarError("cannot enforce a negation together with maxProperties")
            elif plan.exists[i] != ANY:
                raise GrammarError("cannot enforce a negation: a free name might be repeated")
            if len(plans) > MAX_CASES:
                raise GrammarError(f"negations need more than {MAX_CASES} cases")
        if any(len(one.flags) > MAX_EXISTS for one in plans):
            raise GrammarError(f"more than {MAX_EXISTS} members of any name wanted by negations")
        return plans

    def _may_prove(self, plan: Plan, one: NameClass, i: int) -> bool:
        if i not in one.claims:
            return False
        return not self.algebra.is_empty(self.algebra.both(one.node, plan.exists[i]))

    def _cases(self, plan: Plan, i: int) -> list[Plan]:
        found = []
        for k, member in enumerate(plan.members):
            node = self.algebra.both(member.node, plan.exists[i])
            if i not in member.claims or self.algebra.is_empty(node):
                continue
            chosen = Member(member.name, node, True, member.claims)
            members = (*plan.members[:k], chosen, *plan.members[k + 1 :])
            found.append(replace(plan, members=members, flags=plan.flags - {i}))
        return found

    def _counts(self, objects: ObjectSet, known: int, free: bool) -> tuple[int, int | None]:
        """The bounds that are not met anyway."""
        needed = len(objects.required)
        least = 0 if objects.least <= needed else objects.least
        most = objects.most
        if most is not None and not free and most >= known:
            most = None
        if max(least, most or 0) > MAX_COUNT:
            raise GrammarError(f"objects with a bound beyond {MAX_COUNT} members")
        if free and least > needed + 1:
            raise GrammarError(
                f"cannot enforce minProperties {least}: a free name might be repeated"
            )
        return least, most

    def _value(self, node: int, claims: tuple[int, ...], plan: Plan, first_flag: int) -> None:
        """Colon, value, and the flags of what the value is claimed to prove."""
        assembler = self.assembler
        assembler.emit(op.SPACE)
        assembler.literal(b":")
        assembler.emit(op.SPACE)
        open_claims = [claim for claim in claims if claim in plan.flags]
        choices = [
            chosen
            for size in range(len(open_claims) + 1)
            for chosen in combinations(open_claims, size)
        ]
        starts = [assembler.label() for _ in choices]
        after = assembler.label()
        assembler.fork(starts)
        for start, chosen in zip(starts, choices, strict=True):
            assembler.place(start)
            self.writer.call(self.algebra.all_of((node, *(plan.exists[i] for i in chosen))))
            for i in chosen:
                assembler.emit(op.FLAG, first_flag + i)
            assembler.jump(after)
        assembler.place(after)
        if plan.counts:
            assembler.emit(op.COUNT)
        assembler.emit(op.SPACE)

    def _open(self) -> None:
        self.assembler.literal(b"{")
        self.assembler.emit(op.SPACE)

    def _close(self, plan: Plan, mask: int) -> None:
        if plan.least:
            self.assembler.emit(op.AT_LEAST, plan.least)
        if mask:
            self.assembler.emit(op.ALL_SET, self.assembler.const(mask))
        self.writer.close(b"}")

    def _at_most(self, bound: int) -> None:
        if bound < 0:
            self.assembler.emit(op.DEAD)
        else:
            self.assembler.emit(op.AT_MOST, bound)

    def _as_declared(self, plan: Plan) -> None:
        """Heads, where a key is due, one a member; a head of an optional member may pass on."""
        assembler, members = self.assembler, plan.members
        last_required = max((i for i, one in enumerate(members) if one.required), default=-1)
        heads = [assembler.label() for _ in range(len(members) + 1)]
        close = assembler.label()
        self._open()
        assembler.fork([heads[0]] if last_required >= 0 else [heads[0], close])
        for i, member in enumerate(members):
            self._head(plan, i, heads)
            assembler.literal(b'"' + inside(member.name) + b'"')
            self._value(member.node, member.claims, plan, 0)
            more = assembler.label()
            goes_on = i + 1 < len(members) or plan.others
            assembler.fork(([close] if i >= last_required else []) + ([more] if goes_on else []))
            if goes_on:
                self._more(plan, more, heads[i + 1])
        assembler.place(heads[-1])
        self._others(plan, close, heads[-1])
        assembler.place(close)
        self._close(plan, sum(1 << i for i in plan.flags))

    def _head(self, plan: Plan, i: int, heads: list[int]) -> None:
        assembler, member = self.assembler, plan.members[i]
        left = len(plan.members) - i - 1
        required_left = sum(one.required for one in plan.members[i + 1 :])
        assembler.place(heads[i])
        if member.required:
            return
        read, skip = assembler.label(), assembler.label()
        assembler.fork([read, skip])
        assembler.place(skip)
        if plan.least > left and not plan.others:
            assembler.emit(op.AT_LEAST, plan.least - left)
        assembler.jump(heads[i + 1])
        assembler.place(read)
        if plan.most is not None:
            self._at_most(plan.most - 1 - required_left)

    def _more(self, plan: Plan, label: int, head: int) -> None:
        """A comma, if there is room, and the next key."""
        self.assembler.place(label)
        if plan.most is not None:
            self._at_most(plan.most - 1)
        self.writer.comma()
        self.assembler.jump(head)

    def _others(self, plan: Plan, close: int, head: int) -> None:
        """Members of names that are not known one by one, as many as there are."""
        assembler = self.assembler
        if not plan.others:
            assembler.emit(op.DEAD)
            return
        starts = [assembler.label() for _ in plan.others]
        more = assembler.label()
        if plan.most is not None:
            self._at_most(plan.most - 1)
        assembler.fork(starts)
        for start, one in zip(starts, plan.others, strict=True):
            assembler.place(start)
            self._other_name(one)
            self._value(one.node, one.claims, plan, 0)
            assembler.fork([close, more])
        self._more(plan, more, head)

    def _other_name(self, one: NameClass) -> None:
        self.assembler.literal(b'"')
        self.assembler.automaton(one.names)

    def _in_any_order(self, plan: Plan) -> None:
        """One flag a known member; a member is read if its flag is unset and there is room."""
        assembler, members = self.assembler, plan.members
        room = op.FLAGS - len(plan.exists)
        tracked = [one for one in members if len(members) <= room or one.required]
        if len(tracked) > room or (plan.least and len(tracked) < len(members)):
            raise GrammarError(f"{len(members)} members in free order, at most {room}")
        bits = {one.name: i for i, one in enumerate(tracked)}
        needed = sum(1 << bits[one.name] for one in members if one.required)
        proofs = sum(1 << (len(tracked) + i) for i in plan.flags)
        due, after, close, more = (assembler.label() for _ in range(4))
        self._open()
        assembler.fork([due, close])
        assembler.place(due)
        self._any_member(plan, bits, needed, after)
        assembler.place(after)
        self._go_on(plan, needed, len(bits), close, more)
        assembler.place(more)
        self.writer.comma()
        assembler.jump(due)
        assembler.place(close)
        self._close(plan, needed | proofs)

    def _any_member(self, plan: Plan, bits: dict[str, int], needed: int, after: int) -> None:
        """Name and value of any member there still is."""
        assembler, members = self.assembler, plan.members
        starts = [assembler.label() for _ in (*members, *plan.others)]
        if not starts:
            assembler.emit(op.DEAD)
            return
        assembler.fork(starts)
        for start, member in zip(starts, members, strict=False):
            assembler.place(start)
            if not member.required:
                self._room(plan, needed)
            if member.name in bits:
                once = op.ONCE if len(bits) == len(members) else op.FLAG
                assembler.emit(once, bits[member.name])
            assembler.literal(b'"' + inside(member.name) + b'"')
            self._value(member.node, member.claims, plan, len(bits))
            assembler.jump(after)
        for start, one in zip(starts[len(members) :], plan.others, strict=True):
            assembler.place(start)
            self._room(plan, needed)
            self._other_name(one)
            self._value(one.node, one.claims, plan, len(bits))
            assembler.jump(after)

    def _room(self, plan: Plan, needed: int) -> None:
        if plan.most is None:
            return
        if plan.most == 0:
            self.assembler.emit(op.DEAD)
        else:
            self.assembler.emit(op.ROOM, plan.most - 1, self.assembler.const(needed))

    def _go_on(self, plan: Plan, needed: int, tracked: int, close: int, more: int) -> None:
        """Behind a member: close, or a comma if a member can follow."""
        assembler = self.assembler
        required, optional = assembler.label(), assembler.label()
        assembler.fork([close, required, optional])
        assembler.place(required)
        assembler.emit(op.SOME_UNSET, assembler.const(needed))
        assembler.jump(more)
        assembler.place(optional)
        self._room(plan, needed)
        if not plan.others and tracked == len(plan.members):
            assembler.emit(op.SOME_UNSET, assembler.const((1 << tracked) - 1))
        assembler.jump(more)
