"""What users call: PyTorch's names, arguments and overloads, each a thin spelling of the operators in ops/."""

from . import create, elementwise, index, product, random, reduce, shape, linalg, factors, special, everyday, printing  # noqa: I001  (each enters its functions)
from .methods import install
from . import names  # noqa: I001  (after methods: it spells some of them another way)
from . import complexes  # noqa: I001  (after methods: complex tensors have most of them too)
from . import complex_linalg  # noqa: I001
from .spelling import functions

install()
from . import words  # noqa: E402,F401  (last: it looks at what the others entered)

__all__ = ["complex_linalg", "complexes", "create", "elementwise", "everyday", "factors", "functions", "index", "linalg", "names", "printing", "product", "random", "reduce", "shape", "special"]
