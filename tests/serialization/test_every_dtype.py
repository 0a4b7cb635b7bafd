"""Every dtype, layout and origin through every writer: the same bits come back, in another process too."""

import os
import subprocess
import sys

from tests.serialization.every_leaf import EXTENSIONS, check, write


def test_every_leaf_comes_back_from_every_file(tmp_path):
    assert len(EXTENSIONS) >= 15
    write(tmp_path)
    check(tmp_path, times=2)
    process = subprocess.run(
        [sys.executable, "-m", "tests.serialization.every_leaf", str(tmp_path)],
        capture_output=True, text=True, env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
