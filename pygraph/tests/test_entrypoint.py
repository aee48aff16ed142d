"""What the image does to the folder that it is given, before it gives up root."""

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "entrypoint"
NOBODY = "65534"    # has none of the files here


def begin(folder: Path, data: Path, user: int) -> set[str]:
    """Runs it as if by root; the paths that it would have given to pygraph, below the data folder."""
    programs = folder / f"programs{user}"
    programs.mkdir()
    (folder / "fonts").mkdir(exist_ok=True)
    (folder / "fonts" / "list.json").touch()
    given = folder / "given"
    given.touch()
    for name, text in {"id": f"echo {user}", "setpriv": "exit 0",
                       "chown": f'shift 2; printf "%s\\n" "$@" >>{given}'}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    script = SCRIPT.read_text().replace("-user pygraph", f"-user {NOBODY}")
    subprocess.run(["sh", "-c", script.replace("/opt/pygraph/fonts", f"{folder}/fonts"), "sh", "true"],
                   check=True, env={"PATH": f"{programs}:{os.environ['PATH']}", "PYGRAPH_DATA": str(data)})
    return {os.path.relpath(path, data) for path in given.read_text().splitlines()}


def test_what_is_not_its_own_stays_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for name in ("tmp/mine", "cache/mine", ".ssh/key", "pygraph.sqlite3", "pygraph.sqlite3-wal",
                 "graphs/1/memory.png", ".pygraph-tmp/old"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    (home / "graphs" / "link").symlink_to(home / ".ssh")
    for user in (0, 10001):
        given = begin(tmp_path, home, user)
        assert given == set()
        assert all((home / name).exists() for name in ("tmp/mine", "cache/mine", ".ssh/key"))
        assert not (home / ".pygraph-tmp" / "old").exists()


def test_what_an_earlier_one_left_is_made_its_own(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("pygraph.sqlite3", "pygraph.sqlite3-wal", "graphs/1/memory.png", "lost+found/x"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).touch()
    assert begin(tmp_path, data, 0) == {
        ".", "pygraph.sqlite3", "pygraph.sqlite3-wal", "graphs", "graphs/1", "graphs/1/memory.png",
        ".pygraph-tmp", ".pygraph-cache", ".pygraph-cache/list.json"}


def test_an_empty_folder_is_made_its_own(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    assert begin(tmp_path, data, 0) == {".", ".pygraph-tmp", ".pygraph-cache",
                                        ".pygraph-cache/list.json"}
