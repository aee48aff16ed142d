"""The disk of the guest's dockerd, with the images already in it: built outside, by the same engine."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .cache import checkout_files, copy_tree, exclusive, key_of, make_disk, remove_others
from .product import make_in_root, product_disk
from .root import Root, base_image
from .step import BUILD, Failure, run_as_root, step

DISK_MIB = 8192
PROVISION = "tests/vm/provision"
SOURCES = ("docker", "pygraph/Dockerfile", "pygraph/.dockerignore", "pygraph/packages",
           "pygraph/entrypoint", "pygraph/healthcheck.py", "pygraph/pygraph", PROVISION)
# What a build starts ends with it, and has no network.
ALONE = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child"]


def _stage(root: Root, stage: Path, base: Path, files: list[Path]) -> None:
    """A folder with what images are built from."""
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    copy_tree(files, stage)
    make_in_root(root, stage, "images-programs", "-C", "docker")
    shutil.copyfile(base, stage / "base.tar")


@exclusive("images")
def images_disk(root: Root) -> Path:
    """The docker disk for these docker/ and pygraph/ folders, made if anything in them changed.

    The engine's data root is kept beside it: the layers in it are the build cache of the next time.
    """
    base, files = base_image(), checkout_files(*SOURCES)
    disk = BUILD / f"docker-{root.suite}-{key_of(root.key, base.name, *files)}.img"
    if disk.exists():
        return disk
    data = BUILD / f"images-{root.suite}-{key_of(root.key, base.name)}"
    for old in BUILD.glob(f"images-{root.suite}-*"):
        if old != data:
            run_as_root("images-clean", ["rm", "-rf", old])
    stage, partial = BUILD / "provision", BUILD / "docker.partial"
    with step("images", "docker build of pygraph and the four workloads"):
        _stage(root, stage, base, files)
        data.mkdir(exist_ok=True)
        try:
            run_as_root("images", [*ALONE, stage / PROVISION, root.tree, data, stage])
        except Failure:
            run_as_root("images-clean", ["rm", "-rf", data])    # a cache: half of it is none
            raise
        run_as_root("images-disk", make_disk(partial, "cmgr-docker", DISK_MIB, data))
    partial.rename(disk)
    remove_others(disk, f"docker-{root.suite}-*.img")
    shutil.rmtree(stage)
    return disk


def disks(root: Root) -> dict[str, Path]:
    """What a guest needs that runs the product: its disk and the engine's, made side by side."""
    with ThreadPoolExecutor() as pool:
        docker = pool.submit(images_disk, root)
        return {"cmgr": product_disk(root), "docker": docker.result()}
