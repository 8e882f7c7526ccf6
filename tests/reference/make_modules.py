"""Write tests/reference/modules.json: what PyTorch answers to the programs of module_programs.py. Needs PyTorch.

python tests/reference/make_modules.py
"""

import json
import sys
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from module_programs import PROGRAMS

warnings.simplefilter("ignore")
results = {program.__name__: program(torch, torch.nn) for program in PROGRAMS}
Path(__file__).with_name("modules.json").write_text(json.dumps(results, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
