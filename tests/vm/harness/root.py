"""The guest's root: a Debian with kernel, systemd, Docker and the compilers of the product."""

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Mapping, NamedTuple

from .cache import exclusive, key_of, make_disk, remove_others
from .step import BUILD, CHECKOUT, run_as_root, step

SUITE = "trixie"
# With the oldest kernel and the oldest engine that the product runs on.
OLD_SUITE = "bookworm"
# The cloud kernel is the same source with fewer drivers: it boots faster and has all of Docker's.
PACKAGES = """
    linux-image-cloud-amd64 linux-headers-cloud-amd64 systemd-sysv udev dbus kmod
    docker.io iptables cron procps iproute2 curl strace python3 bpftool
    gcc libc6-dev make clang libbpf-dev libcjson-dev libcurl4-openssl-dev pkg-config
    libelf-dev zlib1g-dev
    gcc-12 sparse python3-pytest
""".split()
# What only long runs use.
LONG_PACKAGES = ["dkms", "stress-ng"]
PACKAGES_OF = {SUITE: ["docker-cli"], OLD_SUITE: []}     # before, docker.io had the client, too
# A cloud image of Debian's, as far as it matters here, with what a checkout takes.
FRESH_PACKAGES = """
    linux-image-cloud-amd64 systemd-sysv udev dbus kmod procps iproute2 curl python3 sudo git make
""".split()
SETUP = CHECKOUT / "tests" / "vm" / "root-setup"
SPARE_MIB = 3072

# A mount namespace of its own: nothing stays mounted, however the command ends.
IN_ROOT = """
root=$1 user=$2
shift 2
while [ "$1" != -- ]; do
    mkdir -p "$root$2" && mount --bind "$1" "$root$2" || exit
    shift 2
done
shift
mount -t proc proc "$root/proc" && exec chroot --userspec="$user" "$root" \\
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C.UTF-8 "$@"
"""


BARE = ["--variant=minbase", "--aptopt=Acquire::Languages \"none\"", "--dpkgopt=force-unsafe-io",
        f"--essential-hook='{SETUP}' early-bare \"$1\"", f"--customize-hook='{SETUP}' late-bare \"$1\""]
# What mmdebstrap makes itself, by the host as it is now.
NOT_UNPACKED = " ".join(f"--exclude='./{path}'" for path in ("dev/*", "etc/resolv.conf", "etc/hostname"))


def _bare_key(suite: str) -> str:
    return key_of(suite, *BARE, SETUP)


def _hooks(setup: str, packages: list[str]) -> list[str]:
    """Returns what turns a bare root, which may be months old, into one with these packages."""
    return [f"'{SETUP}' early-{setup} \"$1\"", 'chroot "$1" apt-get -qy dist-upgrade',
            f'chroot "$1" apt-get -qy install --no-install-recommends {" ".join(packages)}',
            f"'{SETUP}' late-{setup} \"$1\""]


def _add_packages(bare: Path, hooks: list[str], target: Path, *options: str) -> list[str]:
    """Returns the mmdebstrap command that unpacks `bare`, runs the hooks and writes `target`."""
    # Suite and mirror are empty: apt's sources are in the tar.
    return ["mmdebstrap", "--mode=root", "--variant=custom",
            f"--setup-hook=tar -C \"$1\" {NOT_UNPACKED} -xf '{bare}'",
            *(f"--customize-hook={hook}" for hook in hooks), *options, "", str(target), ""]


class Root(NamedTuple):
    suite: str
    key: str
    tree: Path      # for building the product in
    disk: Path
    kernel: Path
    initrd: Path
    headers: str    # as seen inside the tree


def _tree_mib(tree: Path) -> int:
    return sum(f.lstat().st_size for f in tree.rglob("*") if not f.is_symlink()) >> 20


def _make(folder: Path, suite: str, packages: list[str]) -> None:
    partial = BUILD / "root-partial"
    run_as_root("clean-root", ["rm", "-rf", partial])
    partial.mkdir(parents=True)
    bare = bare_base(suite)
    with step("guest root", f"Debian {suite}, {len(packages)} packages and what they need"):
        run_as_root("root", _add_packages(bare, _hooks("guest", packages), partial / "tree"))
    # Without an id the first boot of systemd, which is every boot here, sets up everything anew.
    machine_id = uuid.uuid4().hex
    run_as_root("root-id", ["sh", "-c", 'echo "$1" >"$2"', "sh", machine_id,
                            partial / "tree" / "etc" / "machine-id"])
    with step("guest root", "into a disk, by mke2fs"):
        run_as_root("root-disk", make_disk(partial / "root.img", "cmgr-root",
                                           _tree_mib(partial / "tree") + SPARE_MIB,
                                           partial / "tree"))
    partial.rename(folder)


def guest_root(suite: str = SUITE) -> Root:
    """The root for this checkout, made if there is none yet."""
    return _kept_root(suite, suite, PACKAGES + PACKAGES_OF[suite])


def long_root() -> Root:
    """Returns the root with the packages that only `make test-long` uses."""
    return _kept_root("long", SUITE, PACKAGES + PACKAGES_OF[SUITE] + LONG_PACKAGES)


def fresh_root() -> Root:
    """A Debian 13 without what the README has one install."""
    return _kept_root("fresh", SUITE, FRESH_PACKAGES)


@exclusive("root")
def _kept_root(name: str, suite: str, packages: list[str]) -> Root:
    key = key_of(_bare_key(suite), *_hooks("guest", packages))
    folder = BUILD / f"root-{name}-{key}"
    if not folder.exists():
        for old in BUILD.glob(f"root-{name}-*"):
            run_as_root("clean-root", ["rm", "-rf", old])
        _make(folder, suite, packages)
    tree = folder / "tree"
    kernel = next(tree.glob("boot/vmlinuz-*"))
    release = kernel.name.removeprefix("vmlinuz-")
    return Root(suite, key, tree, folder / "root.img", kernel, tree / "boot" / f"initrd.img-{release}",
                f"/usr/src/linux-headers-{release}")


@exclusive("bare")
def bare_base(suite: str = SUITE) -> Path:
    """Returns the path of a tar with a minimal Debian, from which every root is made."""
    bare = BUILD / f"bare-{suite}-{_bare_key(suite)}.tar"
    if not bare.exists():
        with step("bare root", f"a minimal Debian {suite}, by mmdebstrap"):
            _make_tar(bare, "mmdebstrap", "--mode=root", "--format=tar", *BARE, suite, str(_partial(bare)))
        remove_others(bare, f"bare-{suite}-*.tar")
    return bare


@exclusive("base")
def base_image() -> Path:
    """Returns the path of a tar with a small Debian, used as debian:trixie-slim. It has pygraph's packages, so that
    pygraph's image can be built without a network."""
    hooks = _hooks("base", (CHECKOUT / "pygraph" / "packages").read_text().split())
    base = BUILD / f"base-{key_of(_bare_key(SUITE), *hooks)}.tar"
    if not base.exists():
        bare = bare_base()
        with step("base image", f"Debian {SUITE} with pygraph's packages"):
            _make_tar(base, *_add_packages(bare, hooks, _partial(base), "--format=tar"))
        remove_others(base, "base-*.tar")
    return base


def _partial(tar: Path) -> Path:
    return tar.with_suffix(".partial")


def _make_tar(tar: Path, *command: str) -> None:
    """Runs a command that writes `_partial(tar)` as root; the caller then owns `tar`."""
    run_as_root(tar.stem, command)
    run_as_root(f"{tar.stem}-owner", ["chown", f"{os.getuid()}:{os.getgid()}", _partial(tar)])
    _partial(tar).rename(tar)


def run_in_root(root: Root, log_name: str, binds: Mapping[Path, str], *command: str) -> None:
    """Runs a command in the guest's root, by the caller's user, with folders bound to paths in it."""
    words = [str(word) for folder, path in binds.items() for word in (folder, path)]
    run_as_root(log_name, ["unshare", "--mount", "sh", "-c", IN_ROOT, "sh", root.tree,
                           f"{os.getuid()}:{os.getgid()}", *words, "--", *command])


def roots(suite: str = SUITE) -> Root:
    """Makes the guest's root and the base of its images, side by side once the bare root is there: each takes one
    core."""
    with ThreadPoolExecutor() as pool:
        base = pool.submit(base_image)
        root = guest_root(suite)
        base.result()
    return root


def main() -> int:
    roots()
    return 0
