"""The reading as a whole."""

import guest


def test_a_reading_is_whole() -> None:
    reading = guest.read()
    assert reading.memory[0] >= reading.memory[2] > 0
    assert 1 in reading.processes
    assert any(row.path == "/" for row in reading.cgroups.values())
