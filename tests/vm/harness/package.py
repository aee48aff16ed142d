"""The host's side of the packages' test: they are built, and a guest installs them as the README does."""

from pathlib import Path

from .cache import checkout_files, copy_tree
from .images import images_disk
from .machine import Machine
from .product import pack
from .root import guest_root, long_root
from .step import BUILD, CHECKOUT, run, run_as_root, say, step

PACKAGES = CHECKOUT / "build" / "deb"


def _disk() -> Path:
    tree = BUILD / "package" / "tree"
    run("package-clean", ["rm", "-rf", tree.parent])
    tree.mkdir(parents=True)
    copy_tree(checkout_files("tests/vm", "kmod"), tree)
    with step("packages", f"built in a Debian 13, in {PACKAGES}"):
        run("package-tree", ["make", "-s", "-C", CHECKOUT, "deb-tree"])
        run_as_root("package-build", [CHECKOUT / "tests" / "packaging" / "deb", PACKAGES, "build"])
    (tree / "packages").mkdir()
    for name in ("cmgr-bpf", "cmgr-bpf-dkms", "pygraph"):
        package = next(PACKAGES.glob(f"{name}_*.deb"))
        (tree / "packages" / package.name).write_bytes(package.read_bytes())
    disk = tree.parent / "package.img"
    pack(tree, disk, "package-disk")
    return disk


def main() -> int:
    root = long_root()
    machine = Machine("package", root, {"cmgr": _disk(), "docker": images_disk(guest_root())}, show=True, hardened=True)
    with step("package", "in the guest: installed, run, killed, upgraded and purged"):
        code = machine.run()
    machine.take_files(machine.logs / "runs")
    say(f"package: {'failed' if code else 'passed'}; kernel log clean ({machine.logs})")
    return code
