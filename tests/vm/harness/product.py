"""The product, built from a copy of the checkout inside the guest's root, on a disk of its own."""

import json
import os
from pathlib import Path

from .cache import checkout_files, copy_tree, exclusive, key_of, make_disk, remove_others
from .root import IN_ROOT, Root, run_in_root
from .step import BUILD, CHECKOUT, run, step

HOME = "/opt/cmgr-bpf"


def make_in_root(root: Root, tree: Path, log_name: str, *arguments: str) -> None:
    """Runs make on `tree` with the guest's compilers, libraries and headers."""
    run_in_root(root, log_name, {tree: HOME}, "make", "-C", HOME, f"-j{os.cpu_count()}", *arguments)


def _forget_deleted(tree: Path, files: list[Path]) -> None:
    manifest = tree.parent / "files.json"
    names = [str(file.relative_to(CHECKOUT)) for file in files]
    if manifest.exists():
        for name in set(json.loads(manifest.read_text())) - set(names):
            (tree / name).unlink(missing_ok=True)
    manifest.write_text(json.dumps(names))


def pack(tree: Path, disk: Path, log_name: str) -> None:
    """Makes the disk that the guest mounts at /opt/cmgr-bpf."""
    used = sum(f.lstat().st_size for f in tree.rglob("*") if not f.is_symlink()) >> 20
    partial = disk.with_suffix(".partial")
    run(log_name, make_disk(partial, "cmgr", 2 * used + 64, tree))
    partial.rename(disk)


@exclusive("product")
def product_disk(root: Root, *targets: str) -> Path:
    """The disk for this state of the checkout, built if anything changed; with more of the Makefile's
    targets than the daemon and the module, if they are named."""
    files = checkout_files()
    name = "-".join(["product", root.suite, *(target.replace("/", "-") for target in targets)])
    disk = BUILD / f"{name}-{key_of(root.key, IN_ROOT, *files)}.img"
    if disk.exists():
        return disk
    tree = BUILD / name / "tree"
    tree.mkdir(parents=True, exist_ok=True)
    _forget_deleted(tree, files)
    copy_tree(files, tree)
    with step("product", f"make {' '.join(['all', 'kmod', *targets])}, in the guest's root"):
        make_in_root(root, tree, "product-all", "all", *targets)
        make_in_root(root, tree, "product-docker", "-C", "docker")
        make_in_root(root, tree, "product-kmod", "kmod", f"KDIR={root.headers}")
        pack(tree, disk, "product-disk")
    remove_others(disk, f"{name}-{'[0-9a-f]' * 12}.img")
    return disk
