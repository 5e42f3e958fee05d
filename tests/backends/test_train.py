"""How the trainer's process ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.rules.source import ROOT

GROUP = """
import torch.distributed
torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=torch.distributed.HashStore())
"""
LEAVE = """
import atexit
from backends.train import leave
atexit.register(lambda: print("taken apart"))
print("written", end=" ")
leave({code})
"""


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize(("before", "said"), [("", "written taken apart\n"), (GROUP, "written ")], ids=["alone", "one of several"])
def test_one_of_several_ends_without_taking_the_process_group_apart(before, said, code):
    """Nothing that was printed is lost, and the code is told."""
    done = subprocess.run([sys.executable, "-c", before + LEAVE.format(code=code)], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (code, said), done.stderr
