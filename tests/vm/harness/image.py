"""The host's side of pygraph's image as users build it: on a base without its packages, which apt installs."""

import shutil

from .cache import checkout_files, copy_tree, make_disk
from .machine import Machine
from .product import pack
from .root import bare_base, guest_root
from .step import BUILD, run, say, step

DISK_MIB = 4096


def main() -> int:
    tree = BUILD / "image" / "tree"
    run("image-clean", ["rm", "-rf", tree.parent])
    tree.mkdir(parents=True)
    copy_tree(checkout_files("pygraph", "tests/vm/job", "tests/vm/image"), tree)
    shutil.copyfile(bare_base(), tree / "base.tar")
    disk = tree.parent / "image.img"
    pack(tree, disk, "image-disk")
    docker = tree.parent / "docker.img"
    run("image-docker", make_disk(docker, "cmgr-docker", DISK_MIB))
    machine = Machine("image", guest_root(), {"cmgr": disk, "docker": docker}, show=True)
    with step("image", "docker build of pygraph in a guest, with apt"):
        code = machine.run()
    say(f"image: {'failed' if code else 'passed'}; kernel log clean ({machine.logs})")
    return code
