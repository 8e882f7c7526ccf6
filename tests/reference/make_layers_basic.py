"""Write tests/reference/layers_basic.json: PyTorch's numbers for activations, losses, embeddings and attention. Needs PyTorch.

python tests/reference/make_layers_basic.py
"""

import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

import test_nn_activations
import test_nn_attention
import test_nn_losses
from layer_tables import REFERENCE, measure, projected, words_of


def main():
    """Run all cases in PyTorch."""
    lines = []
    for module in (test_nn_activations, test_nn_losses, test_nn_attention):
        for text, shapes in module.CASES:
            numbers, words = measure(torch, text, shapes)
            value = [{k: projected(k, v) for k, v in numbers.items()}, words_of(words)]
            lines.append(f"{json.dumps(f'{text} {shapes}', ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}")
    REFERENCE.with_name("layers_basic.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
