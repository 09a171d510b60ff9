"""Ledger and spool on a disk that is really full, where a process may have mounts of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def test_what_is_written_to_disk_survives_that_it_is_full(tmp_path: Path) -> None:
    """The scenes of small_disk_scenes.py pass in a namespace of mounts."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare, which makes a namespace of mounts")
    apart = [unshare, "--user", "--map-root-user", "--mount"]
    mount = [*apart, "mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)]
    tried = subprocess.run(mount, capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no mounts of one's own here: {tried.stderr.strip()}")
    scenes = Path(__file__).with_name("small_disk_scenes.py")
    command = [*apart, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(scenes)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
