"""The disk of the guest's dockerd, with the images already in it: one boot that builds them."""

import shutil
import subprocess
from pathlib import Path

from .cache import checkout_files, copy_tree, key_of, make_disk, remove_others
from .machine import Machine
from .product import make_in_root, pack
from .root import Root, base_image
from .step import BUILD, Failure, run, step

DISK_MIB = 8192
TIMEOUT_S = 1800


def _stage(root: Root, files: list[Path]) -> Path:
    """A disk with the folders to build images from, the base and the job that builds them."""
    tree = BUILD / "provision" / "tree"
    shutil.rmtree(tree.parent, ignore_errors=True)
    tree.mkdir(parents=True)
    copy_tree(files, tree)
    make_in_root(root, tree, "provision-make", "-C", "docker")
    shutil.copyfile(base_image(), tree / "base.tar")
    disk = tree.parent / "provision.img"
    pack(tree, disk, "provision-disk")
    return disk


def _docker_disk(root: Root, disk: Path) -> None:
    """An earlier disk is the start where there is one: its layers are docker's build cache."""
    for earlier in BUILD.glob(f"docker-{root.suite}-*.img"):
        subprocess.run(["cp", "--sparse=always", str(earlier), str(disk)], check=True)
        return
    run("docker-disk", make_disk(disk, "cmgr-docker", DISK_MIB))


def images_disk(root: Root) -> Path:
    """The docker disk for these docker/ and pygraph/ folders, made if anything in them changed."""
    files = checkout_files("docker", "pygraph", "tests/vm/job", "tests/vm/provision")
    disk = BUILD / f"docker-{root.suite}-{key_of(root.key, *files)}.img"
    if disk.exists():
        return disk
    partial = BUILD / "docker.partial"
    stage = _stage(root, files)
    _docker_disk(root, partial)
    with step("images", "docker build of pygraph and the four workloads, in the guest"):
        machine = Machine("provision", root, {"cmgr": stage}, kept={"docker": partial})
        if machine.run(TIMEOUT_S):
            raise Failure(f"images: they could not be built; see {machine.logs / 'output'}")
    partial.rename(disk)
    remove_others(disk, f"docker-{root.suite}-*.img")
    shutil.rmtree(stage.parent)
    return disk
