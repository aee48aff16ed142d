"""Part zero: docker build of each Dockerfile, as the README has it, in the guest itself.

Its base has pygraph's packages, so that nothing is fetched here; the other parts run what was built.
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
    """The images of before were built by the same engine outside of the guest."""
    for name, folder in FOLDERS.items():
        before, settings = _image(name)
        host.must("docker", "build", "--no-cache", "--network", "none", "-t", name, folder)
        after, settings_after = _image(name)
        checks.check(f"docker build of {name}", before != after, after)
        checks.equal(f"{name}: the same settings", settings_after, settings)
