"""Nested tuples, lists and dicts taken apart and put together again, under PyTorch's path `torch.utils._pytree`."""

from ..func import flatten, tree_map

__all__ = ["TreeSpec", "tree_all", "tree_any", "tree_flatten", "tree_leaves", "tree_map", "tree_map_only", "tree_structure", "tree_unflatten"]


class TreeSpec:
    """What is left of a nested container without its leaves: their number, and how to put others in their places."""

    def __init__(self, num_leaves, rebuild):
        self.num_leaves, self.rebuild = num_leaves, rebuild
        self.outline = repr(rebuild(["*"] * num_leaves))

    def unflatten(self, leaves):
        """The container with these leaves."""
        return self.rebuild(leaves)

    def __eq__(self, other):
        return isinstance(other, TreeSpec) and self.outline == other.outline

    def __repr__(self):
        return f"TreeSpec({self.outline})"


def tree_flatten(tree, is_leaf=None):
    """(the leaves, the TreeSpec)

    >>> from tinygrad_edu.utils._pytree import tree_flatten, tree_unflatten
    >>> leaves, spec = tree_flatten({"a": 1, "b": (2, 3)})
    >>> leaves, tree_unflatten([x * x for x in leaves], spec)
    ([1, 2, 3], {'a': 1, 'b': (4, 9)})
    """
    leaves, rebuild = flatten(tree, is_leaf)
    return leaves, TreeSpec(len(leaves), rebuild)


def tree_unflatten(leaves, treespec):
    """The container with these leaves."""
    return treespec.rebuild(list(leaves))


def tree_leaves(tree, is_leaf=None):
    """The leaves."""
    return flatten(tree, is_leaf)[0]


def tree_structure(tree, is_leaf=None):
    """The TreeSpec."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map_only(kind, function, tree=None):
    """The tree with `function` applied to the leaves of a class."""
    if tree is None:  # as a decorator
        return lambda x: function(x) if isinstance(x, kind) else x
    return tree_map(lambda x: function(x) if isinstance(x, kind) else x, tree)


def tree_all(predicate, tree):
    """True if it holds of every leaf."""
    return all(predicate(x) for x in flatten(tree)[0])


def tree_any(predicate, tree):
    """True if it holds of any leaf."""
    return any(predicate(x) for x in flatten(tree)[0])
