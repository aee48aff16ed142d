"""Debian's kernels: which there are, and each of them fetched, with its headers and an initramfs."""

import re
from pathlib import Path
from typing import NamedTuple

from .archive import Archive
from .cache import exclusive, key_of, remove_others
from .machine import Boot
from .root import Root, run_in_root
from .step import BUILD, step

FLAVOUR = "cloud-amd64"


class Kernel(NamedTuple):
    release: str    # "6.12.117+deb13-cloud-amd64"
    folder: Path    # its packages, unpacked
    tree: Path | None = None    # what it was built in, by this machine's compiler, if not by Debian
    initrd: Path | None = None

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
        return Boot(self.image, self.initrd, self.series)

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
    folder = BUILD / "kernels" / release
    initrd = folder / f"initrd-{key_of(root.key, INITRD)}.img"
    kernel = Kernel(release, folder, initrd=initrd)
    folder.parent.mkdir(exist_ok=True)
    if initrd.exists():
        return kernel
    with step(f"kernel {kernel.series}", f"Debian's {release} with headers"):
        if not folder.exists():
            # From 7.x on the image package is empty: its parts are packages of their own.
            parts = [f"linux-{part}-{release}" for part in ("image", "binary", "modules")]
            parts = [part for part in parts if part in archive.names(part)]
            archive.unpack([*parts, *_header_packages(archive, release)], folder)
        _make_initrd(root, kernel, initrd)
        remove_others(initrd, "initrd*.img")
    return kernel


# The packages of some kernels lack the list of what is built in: then their configuration says it.
INITRD = """
set -e
release=$0 stage=/opt/cmgr-kernel/initrd
config=/opt/cmgr-kernel/usr/src/linux-headers-$release/include/config/auto.conf
add() {
    grep -qx "CONFIG_$2=y" "$config" || modprobe -S "$release" --show-depends "$1" >>"$stage.modules"
}
depmod "$release"
rm -rf "$stage" "$stage.modules"
mkdir -p "$stage/usr/lib/modules/$release"
add virtio_pci VIRTIO_PCI
add virtio_blk VIRTIO_BLK
add ext4 EXT4_FS
sed -n 's/^insmod *//p' "$stage.modules" | xargs readlink -f | xargs cp --parents -t "$stage"
depmod -b "$stage/usr" "$release"
(cd "$stage" && find . | cpio -o -H newc --quiet) >"$stage.partial"
cat "$1" >>"$stage.partial"
rm -r "$stage" "$stage.modules"
mv "$stage.partial" "/opt/cmgr-kernel/$2"
"""


def _make_initrd(root: Root, kernel: Kernel, initrd: Path) -> None:
    """Makes a kernel's initramfs: an archive of its modules, followed by the root's initramfs. mkinitramfs would
    take ten times as long."""
    binds = {kernel.modules: f"/usr/lib/modules/{kernel.release}", kernel.folder: "/opt/cmgr-kernel"}
    run_in_root(root, f"initrd-{kernel.series}", binds, "sh", "-c", INITRD, kernel.release,
                f"/boot/{root.initrd.name}", initrd.name)
