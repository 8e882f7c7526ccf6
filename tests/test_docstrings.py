"""Every public name says what it is: functions, classes, methods and properties have a docstring, their own or an inherited one."""

import importlib
import inspect

import pytest

PACKAGE = "tinygrad_edu"
MODULES = """nn nn.functional nn.init nn.utils nn.utils.parametrize nn.utils.rnn nn.utils.prune optim optim.lr_scheduler optim.swa_utils
utils.data func linalg special autograd autograd.functional viz testing io distributions jit amp profiler compiler""".split()


def is_ours(value):
    return callable(value) and (getattr(value, "__module__", None) or "").startswith(PACKAGE)


def text_of(value, name, owner):
    """The docstring of a method, or of the one that it overrides."""
    for base in owner.__mro__:
        found = vars(base).get(name)
        found = getattr(found, "__func__", found)
        if getattr(found, "__doc__", None):
            return found.__doc__
    return None


def without_words(module):
    """The dotted names in a module that have no docstring."""
    for name in dir(module):
        if name.startswith("_"):
            continue
        try:
            value = getattr(module, name)
        except ImportError:  # an optional package is missing
            continue
        if inspect.ismodule(value) or not is_ours(value):
            continue
        own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
        if not own:
            yield name
        if inspect.isclass(value):
            fields = getattr(value, "__dataclass_fields__", ())  # said in the docstring of the class
            for member, plain in vars(value).items():
                plain_function = getattr(plain, "__func__", plain)
                is_one = inspect.isfunction(plain_function) or isinstance(plain, property)
                if (
                    is_one
                    and member not in fields
                    and not member.startswith("_")
                    and member not in ("forward", "kernel")
                    and not text_of(value, member, value)
                ):
                    yield f"{name}.{member}"


@pytest.mark.parametrize("where", ["", *MODULES])
def test_every_public_name_has_a_docstring(where):
    try:
        module = importlib.import_module(f"{PACKAGE}.{where}".rstrip("."))
    except ModuleNotFoundError as error:
        if error.name.startswith(PACKAGE):
            raise
        pytest.skip(f"needs {error.name}")
    silent = list(without_words(module))
    assert not silent, f"give these a docstring (lambdas of api/: a line in api/words.py): {silent}"


def test_a_name_without_words_is_found():
    class Silent:
        def method(self):
            return 1

    Silent.__module__ = f"{PACKAGE}.nowhere"

    def silent():
        return 1

    silent.__module__ = Silent.__module__
    module = type("Module", (), {"silent": silent, "Silent": Silent})
    assert set(without_words(module)) == {"silent", "Silent", "Silent.method"}
