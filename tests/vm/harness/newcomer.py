"""The host's side of the newcomer's test: the README's commands in a Debian that has nothing of it."""

from .cache import checkout_files, copy_tree
from .images import images_disk
from .machine import Machine
from .product import pack
from .root import fresh_root, guest_root
from .step import BUILD, run, say, step



def main() -> int:
    tree = BUILD / "newcomer" / "tree"
    run("newcomer-clean", ["rm", "-rf", tree.parent])
    tree.mkdir(parents=True)
    copy_tree(checkout_files(), tree)
    disk = tree.parent / "newcomer.img"
    pack(tree, disk, "newcomer-disk")
    # debian:trixie-slim is on it: no test pulls from Docker's registry.
    disks = {"cmgr": disk, "docker": images_disk(guest_root())}
    machine = Machine("newcomer", fresh_root(), disks, show=True, hardened=True)
    with step("newcomer", "the README's commands for Debian 13, in a fresh one"):
        code = machine.run()
    say(f"newcomer: {'failed' if code else 'passed'}; kernel log clean ({machine.logs})")
    return code
