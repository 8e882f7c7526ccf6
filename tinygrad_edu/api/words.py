"""What the functions and methods do that are one line without a docstring: for help() and the reference."""

from types import FunctionType

from ..autograd.tensor import Tensor
from .spelling import functions

WORDS = dict(
    of_plain="What PyTorch's old constructor makes: Tensor(2, 3) or Tensor([1.0]).",
    shape="How many elements each dimension has, as a Size.",
    dtype="The type of the elements.",
    ndim="How many dimensions there are.",
    itemsize="How many bytes one element takes.",
    nbytes="How many bytes all elements take.",
    new_zeros="Zeros of a size, of this tensor's type.",
    new_ones="Ones of a size, of this tensor's type.",
    new_empty="A tensor of a size, of this tensor's type, with any numbers.",
    where="Its elements where `condition` is true, those of `other` elsewhere.",
    swapaxes="Two dimensions exchanged; a view.",
    permute="The dimensions in another order; a view.",
    polygamma="The n-th derivative of digamma at each element.",
    layout="How the elements lie in memory.",
    storage="The memory that this tensor and its views lie in.",
    is_set_to="True if both are the same view of the same memory.",
    retains_grad="True if this result keeps its gradient.",
    get_device="−1: tensors live on the CPU.",
    to_dense="The tensor itself, which is dense; with `dtype`, of that type.",
    is_pinned="False: memory has no pinned part here.",
    conj="The complex conjugate; a real tensor is its own.",
    conj_physical="The complex conjugate, computed at once; a real tensor is its own.",
    resolve_conj="The tensor itself: a conjugate is always computed at once.",
    resolve_neg="The tensor itself: a negative is always computed at once.",
    is_conj="False: a conjugate is never left for later.",
    is_neg="False: a negative is never left for later.",
    real="The real part; a real tensor is its own.",
    squeeze_="As squeeze, of the tensor itself.",
    unsqueeze_="As unsqueeze, of the tensor itself.",
    transpose_="As transpose, of the tensor itself.",
    t_="As t, of the tensor itself.",
    swapaxes_="As swapaxes, of the tensor itself.",
    swapdims_="As swapdims, of the tensor itself.",
    cpu="The tensor itself: it is on the CPU.",
    type_as="Of the type of another tensor.",
    nelement="How many elements there are.",
    element_size="How many bytes one element takes.",
    stride="How many elements further the next one lies, in each dimension or in one.",
    storage_offset="How many elements the tensor begins behind the start of its memory.",
    is_contiguous="True if the elements lie in memory in their order.",
    data_ptr="The address of the first element.",
    share_memory_="The tensor itself; there is one process.",
    pin_memory="The tensor itself; memory has no pinned part here.",
    apply_="A Python function applied to each element, in place and without a gradient.",
    detach="The same numbers without the graph; a view.",
    are_deterministic_algorithms_enabled="True: the same program gives the same numbers.",
    get_float32_matmul_precision="'highest': products of float32 are computed in float32.",
    get_num_threads="How many threads work on one operator.",
    get_num_interop_threads="How many operators run at once: one.",
    is_anomaly_enabled="True within detect_anomaly.",
    is_anomaly_check_nan_enabled="True if detect_anomaly looks for NaN.",
    is_inference_mode_enabled="True within inference_mode.",
)

for name, text in WORDS.items():
    for value in (functions.get(name), getattr(vars(Tensor).get(name), "__func__", vars(Tensor).get(name))):
        if isinstance(value, (FunctionType, property)) and not value.__doc__:
            value.__doc__ = text
        if isinstance(value, FunctionType) and value.__name__ == "<lambda>":
            value.__name__ = value.__qualname__ = name
