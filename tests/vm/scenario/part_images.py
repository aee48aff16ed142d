"""Runs docker build on each Dockerfile, as the README has it, in the guest itself.

The same engine has built them outside of the guest. Its layers serve for pygraph, whose RUN steps take a minute
of emulation; the workloads are built anew.
"""

import json

import host
from checks import Checks
from daemon import HOME

FOLDERS = {"cmgr-pygraph": HOME / "pygraph",
           **{f"cmgr-{kind}": HOME / "docker" / kind for kind in ("cpu-high", "ram-high", "cpu-low", "ram-low")}}


def _image(name: str) -> tuple[str, dict[str, object]]:
    """Its ID, and what containers get from it."""
    image = json.loads(host.must("docker", "image", "inspect", name))[0]
    return image["Id"], {key: value for key, value in image["Config"].items() if key != "Image"}


def run(checks: Checks) -> None:
    for name, folder in FOLDERS.items():
        before, settings = _image(name)
        anew = [] if name == "cmgr-pygraph" else ["--no-cache"]
        host.must("docker", "build", *anew, "--network", "none", "-t", name, folder)
        after, settings_after = _image(name)
        checks.equal(f"docker build of {name}", before != after, bool(anew))
        checks.equal(f"{name}: the same settings", settings_after, settings)
