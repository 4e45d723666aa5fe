"""What a process leaves that is killed while it writes a file, and who may take it away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shifts.local import drop_unfinished, temporary_of, write_atomic

KILLED = """
import os, sys
from pathlib import Path
from shifts.local import write_atomic
os.fsync = lambda _: os.kill(os.getpid(), 9)  # written, not renamed yet
write_atomic(Path(sys.argv[1]), "half")
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_only_what_a_dead_process_of_this_machine_left_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "state"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    (left,) = tmp_path.iterdir()
    assert (done.returncode, left.read_text()) == (-9, "half")
    at_work = temporary_of(path)
    dead = left.name.rpartition("-")[2]  # the number of the dead process, with the ending
    elsewhere, another = tmp_path / f".state.elsewhere-{dead}", tmp_path / left.name.replace("state", "other")
    for one in (at_work, elsewhere, another):
        one.write_text("")
    drop_unfinished(path)
    assert set(tmp_path.iterdir()) == {at_work, elsewhere, another}
    write_atomic(path, "whole")
    assert path.read_text() == "whole"
    assert not at_work.exists(), "this process's own, which it has renamed"
