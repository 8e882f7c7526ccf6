"""Write tests/reference/layers.json: PyTorch's numbers for every case of the layer tests. Needs PyTorch.

python tests/reference/make_layers.py
"""

import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

import test_nn_convolution
import test_nn_normalization
import test_nn_pooling
import test_nn_recurrent
import test_nn_resampling
from layer_tables import REFERENCE, measure, projected, words_of


def main():
    """Run all cases in PyTorch."""
    reference = {}
    for module in (test_nn_convolution, test_nn_pooling, test_nn_normalization, test_nn_recurrent, test_nn_resampling):
        for text, shapes in module.CASES:
            numbers, words = measure(torch, text, shapes)
            reference[f"{text} {shapes}"] = [{k: projected(k, v) for k, v in numbers.items()}, words_of(words)]
    lines = [f"{json.dumps(k, ensure_ascii=False)}: {json.dumps(v, ensure_ascii=False)}" for k, v in reference.items()]
    REFERENCE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
