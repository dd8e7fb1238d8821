"""The algebra of schemas: laws, emptiness, bounds."""

from fractions import Fraction

import pytest

from gnomon.sampling.grammar.algebra import Algebra
from gnomon.sampling.grammar.errors import GrammarError
from gnomon.sampling.grammar.numbers import NumberSet
from gnomon.sampling.grammar.shapes import ANY, NONE, ArraySet, ObjectSet, Scope, Shape
from gnomon.sampling.grammar.strings import StringSet


@pytest.fixture
def algebra() -> Algebra:
    return Algebra(lambda leaf: leaf)


def low(value: int) -> Shape:
    return Shape(numbers=(NumberSet(low=Fraction(value)),))


def high(value: int) -> Shape:
    return Shape(numbers=(NumberSet(high=Fraction(value)),))


def test_a_node_and_its_inverse_share_nothing_and_make_all(algebra: Algebra) -> None:
    node = algebra.shape_node(low(3))
    assert algebra.is_empty(algebra.both(node, algebra.inverse(node)))
    assert algebra.shape(algebra.any_of((node, algebra.inverse(node)))).null


def test_inverse_of_inverse_is_the_node(algebra: Algebra) -> None:
    node = algebra.shape_node(low(3))
    assert algebra.inverse(algebra.inverse(node)) == node
    assert (algebra.inverse(ANY), algebra.inverse(NONE)) == (NONE, ANY)


def test_disjoint_ranges_meet_in_nothing(algebra: Algebra) -> None:
    both = algebra.both(algebra.shape_node(low(3)), algebra.shape_node(high(2)))
    assert algebra.is_empty(both)


def test_one_of_leaves_out_what_two_share(algebra: Algebra) -> None:
    shape = algebra.shape(algebra.one_of((algebra.shape_node(low(0)), algebra.shape_node(high(5)))))

    def holds(value: int) -> bool:
        return any(numbers.holds(Fraction(value)) for numbers in shape.numbers)

    assert [holds(v) for v in (-1, 0, 3, 5, 6)] == [True, False, False, False, True]


def test_an_object_that_needs_an_impossible_member_is_empty(algebra: Algebra) -> None:
    objects = ObjectSet((Scope((("a", NONE),)),), ("a",))
    assert algebra.is_empty(algebra.shape_node(Shape(objects=(objects,))))


def test_an_array_that_needs_an_impossible_item_is_empty(algebra: Algebra) -> None:
    assert algebra.is_empty(algebra.shape_node(Shape(arrays=(ArraySet(rest=NONE, least=1),))))
    assert not algebra.is_empty(algebra.shape_node(Shape(arrays=(ArraySet(rest=NONE),))))


def test_a_leaf_that_opens_into_itself_is_an_error() -> None:
    algebra = Algebra(lambda leaf: 2)
    node = algebra.leaf(0)
    assert node == 2
    with pytest.raises(GrammarError, match="leads to itself"):
        algebra.shape(node)


def test_too_many_alternatives_are_an_error(algebra: Algebra) -> None:
    shapes = [
        Shape(strings=tuple(StringSet(least=i, most=i + 50 * k) for i in range(30))) for k in (1, 2)
    ]
    nodes = [algebra.shape_node(shape) for shape in shapes]
    with pytest.raises(GrammarError, match="alternatives"):
        algebra.shape(algebra.all_of(nodes))
