"""Which steps are ended: those that hang, not those that are slow."""

import sys
import time
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TESTS), str(TESTS / "vm")]

from harness import step  # noqa: E402

LOADER = SourceFileLoader("suite", str(TESTS / "suite"))
suite = module_from_spec(spec_from_loader("suite", LOADER))
LOADER.exec_module(suite)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(step, "STALLED_S", 4)
    monkeypatch.setattr(step, "IDLE_SHARE", 0.01)     # a busy host gives little
    monkeypatch.setattr(step, "LOOK_S", 0.5)
    monkeypatch.setattr(step, "POLL_S", 0.1)
    monkeypatch.setattr(step, "LOGS", tmp_path)


@pytest.mark.slow
def test_a_step_that_hangs_is_ended_with_all_below_it() -> None:
    started = time.monotonic()
    with pytest.raises(step.Failure, match="nothing printed and hardly any CPU used"):
        step.run("hangs", ["sh", "-c", "echo begun; sleep 600 & sleep 600"])
    assert time.monotonic() - started < 300


@pytest.mark.slow
@pytest.mark.parametrize("script", [
    "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 1; done",
    "timeout 8 sh -c 'while :; do :; done' || :",
])
def test_a_step_that_prints_or_computes_is_left_to_it(script: str) -> None:
    step.run("slow", ["sh", "-c", script])


@pytest.mark.slow
def test_a_step_that_computes_for_ever_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "SILENT_CPU_S", 2)
    with pytest.raises(step.Failure, match="nothing printed in 2 s of CPU time"):
        step.run("spins", ["sh", "-c", "while :; do :; done"])


@pytest.mark.parametrize("text,code,counts", [
    ("12 passed, 3 skipped in 2 s\n", 0, (12, 0)),
    ("2 failed, 12 passed, 1 error in 2 s\n", 1, (12, 3)),
    ("  PASS     test_docker: 7 test(s)\n  PASS     test_plan: 12 test(s)\n", 0, (19, 0)),
    ("[  PASSED  ] 5 test(s).\n[  FAILED  ] 2 test(s), listed below:\n", 1, (5, 2)),
    ("\n181 passed, 0 failed\n", 0, (181, 0)),
    ("nothing that counts\n", 0, (1, 0)),
    ("pending=66 failed=127\n3 passed in 2 s\n", 0, (3, 0)),
    ("pending=66 failed=127\n1 failed, 3 passed in 2 s\n", 1, (3, 1)),
    ("killed\n", 137, (0, 1)),
    ("9 passed in 1 s\nmake: *** Error 1\n", 2, (9, 1)),
])
def test_counts_of_a_part(text: str, code: int, counts: tuple[int, int]) -> None:
    assert suite.count(text, code) == counts


@pytest.mark.parametrize("line", [
    "FAILED tests/test_a.py::test_b - assert 1 == 2", "ERROR tests/test_a.py::test_b",
    "FAIL    12.3 s  the others run: got 4, expected 5", "[  FAILED  ] test_parses", "FAILED: guest: it hangs",
    "  kernel 6.1.0-50-cloud-amd64: FAILED: FAILED test_processes.py::test_dead_process - assert 1 == 0",
])
def test_failures_are_named_below_the_table(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(suite, "LOGS", tmp_path)
    (tmp_path / "lines").write_text(f"ok  12.3 s  all run\n{line}\n3 passed\n")
    results = suite.run([suite.Part("bad", "fails", f"cat {tmp_path}/lines; exit 1")])
    capsys.readouterr()
    suite.print_table(results, 1)
    assert capsys.readouterr().out.endswith(f"bad.log\n  {line.strip()}\n")


def test_what_a_part_needs_comes_with_it() -> None:
    names = [part.name for part in suite.chosen(suite.TEST, ["unit"])]
    assert names == ["guest-packages", "packages", "compilers", "unit"]


def test_a_part_whose_need_failed_is_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(suite, "LOGS", tmp_path)
    monkeypatch.setattr(suite.times, "keep", lambda *_: None)
    parts = [suite.Part("bad", "fails", "exit 3"), suite.Part("next", "needs it", "echo ran", 1, ("bad",)),
             suite.Part("other", "does not", "echo 4 passed")]
    results = suite.run(parts)
    assert [(one.passed, one.failed) for one in results] == [(0, 1), (0, 1), (4, 0)]
    assert "next: not run" in capsys.readouterr().out
