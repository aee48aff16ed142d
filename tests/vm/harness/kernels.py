"""Debian's kernels: which there are, and each of them fetched, with its headers and an initramfs."""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

from .archive import Archive
from .cache import exclusive
from .machine import Boot
from .root import Root, run_in_root
from .step import BUILD, run_as_root, step

FLAVOUR = "cloud-amd64"


class Kernel(NamedTuple):
    release: str    # "6.12.117+deb13-cloud-amd64"
    folder: Path    # its packages, unpacked
    tree: Path | None = None    # what it was built in, by this machine's compiler, if not by Debian

    @property
    def series(self) -> str:
        return ".".join(re.findall(r"\d+", self.release)[:2])

    @property
    def modules(self) -> Path:
        """The folder of its modules; older packages are not merged into /usr."""
        return next(self.folder.glob(f"*/modules/{self.release}"), None) or \
            next(self.folder.glob(f"usr/lib/modules/{self.release}"))

    @property
    def image(self) -> Path:
        return next(self.folder.glob(f"boot/vmlinuz-{self.release}"), None) or \
            next(self.folder.rglob("vmlinuz*"))

    @property
    def boot(self) -> Boot:
        if self.tree:
            return Boot(self.image, None, "debug")
        return Boot(self.image, self.folder / "initrd.img", self.series)

    def header_binds(self) -> dict[Path, str]:
        """Where its headers have to be for a module to be built in a root."""
        found = [*self.folder.glob("usr/src/linux-headers-*"),
                 *self.folder.glob("usr/lib/linux-kbuild-*")]
        return {folder: f"/{folder.relative_to(self.folder)}" for folder in found}


def _version(release: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", release.partition("+")[0])]


def releases(archive: Archive, flavour: str = FLAVOUR) -> list[str]:
    """Every kernel of the archive that modules can be built for, oldest first."""
    have = archive.names("linux-headers-") | archive.names("linux-image-")
    found = [match[1] for name in have
             if (match := re.fullmatch(rf"linux-headers-([\d.]+(?:-\d+|\+\w+)-{flavour})", name))]
    return sorted((release for release in found if f"linux-image-{release}" in have), key=_version)


def newest_of_each_series(archive: Archive) -> list[str]:
    """The newest release of 6.1, 6.12 and so on, oldest first."""
    series = {tuple(_version(release)[:2]): release for release in releases(archive)}
    return list(series.values())


def fetch_headers(archive: Archive, release: str) -> Kernel:
    """The headers alone, for a build that is not booted."""
    folder = BUILD / "kernels" / f"headers-{release}"
    folder.parent.mkdir(exist_ok=True)
    if not folder.exists():
        archive.unpack(_header_packages(archive, release), folder)
    return Kernel(release, folder)


def _header_packages(archive: Archive, release: str) -> list[str]:
    headers = f"linux-headers-{release}"
    common = re.sub(r"-(?:cloud-|rt-)?amd64$", "", headers) + "-common"
    if "-rt-amd64" in release and f"{common}-rt" in archive.names(common):
        common += "-rt"
    return [headers, common, archive.kbuild_of(headers)]


@exclusive("kernels")
def fetch(archive: Archive, root: Root, release: str) -> Kernel:
    """A kernel that can be booted, with its modules and headers."""
    kernel = Kernel(release, BUILD / "kernels" / release)
    kernel.folder.parent.mkdir(exist_ok=True)
    if (kernel.folder / "initrd.img").exists():
        return kernel
    with step(f"kernel {kernel.series}", f"Debian's {release} with headers"):
        # From 7.x on the image package is empty: its parts are packages of their own.
        parts = [f"linux-{part}-{release}" for part in ("image", "binary", "modules")]
        parts = [part for part in parts if part in archive.names(part)]
        shutil.rmtree(kernel.folder, ignore_errors=True)
        archive.unpack([*parts, *_header_packages(archive, release)], kernel.folder)
        _make_initrd(root, kernel)
    return kernel


# In Debian's kernels, virtio disks and ext4 are modules.
INITRD = """
set -e
release=$0 stage=/opt/cmgr-kernel/initrd
depmod "$release"
rm -rf "$stage"
mkdir "$stage"
modprobe -S "$release" -a --show-depends virtio_pci virtio_blk ext4 | sed -n 's/^insmod *//p' |
    xargs readlink -f | xargs cp --parents -t "$stage"
depmod -b "$stage/usr" "$release"
(cd "$stage" && find . | cpio -o -H newc --quiet) | cat - "$1" >"$stage.partial"
rm -r "$stage"
mv "$stage.partial" "$stage.img"
"""


def _make_initrd(root: Root, kernel: Kernel) -> None:
    """Makes the kernel's initramfs: an archive of its modules, followed by the root's initramfs. mkinitramfs would
    take ten times as long."""
    binds = {kernel.modules: f"/usr/lib/modules/{kernel.release}", kernel.folder: "/opt/cmgr-kernel"}
    run_in_root(root, f"initrd-{kernel.series}", binds, "sh", "-c", INITRD, kernel.release, f"/boot/{root.initrd.name}")


def remove_old(kept: list[Kernel]) -> None:
    """Kernels that the archive has replaced since they were fetched."""
    names = {kernel.folder.name for kernel in kept}
    for folder in (BUILD / "kernels").glob("[0-9]*"):
        if folder.name not in names:
            run_as_root("clean-kernel", ["rm", "-rf", folder])
