"""The module and its DKMS package are of one name and one version."""

import re
import shlex
from pathlib import Path

KMOD = Path(__file__).resolve().parents[3] / "kmod"


def test_dkms_conf_agrees_with_the_module() -> None:
    words = shlex.split((KMOD / "dkms.conf").read_text(), comments=True)
    conf = dict(word.split("=", 1) for word in words)
    module = conf["BUILT_MODULE_NAME[0]"]
    assert f"obj-m := {module}.o" in (KMOD / "Kbuild").read_text().splitlines()

    # The number stands in dkms.conf alone.
    assert "MODULE_VERSION(SYSINFO_RELEASE);" in (KMOD / f"{module}.c").read_text()
    assert "-DSYSINFO_RELEASE=" in (KMOD / "Kbuild").read_text()
    assert re.fullmatch(r"\d+\.\d+\.\d+", conf["PACKAGE_VERSION"])
