"""The module and the tests' own C programs, built for one kernel, on a disk of that kernel."""

import shutil
from pathlib import Path

from .cache import checkout_files, copy_tree, exclusive, key_of, make_disk, remove_others
from .kernels import Kernel
from .product import HOME
from .root import Root, run_in_root
from .step import BUILD, LOGS, Failure, run

BROKEN = "tests/vm/debug-kernel/broken"     # for the debug kernel alone, which has to catch them
PROGRAMS = "tests/vm/kernel/programs"
SOURCES = ("kmod", "tests/vm/kernel", BROKEN)


def build(root: Root, kernel: Kernel, folder: str, *variables: str) -> Path:
    """Builds a folder of modules against a kernel's headers or tree, as a maintainer would: warnings from
    the compiler, from W=1 and, with C=1, from sparse are failures. Returns the folder with what was
    built."""
    tree = BUILD / "modules" / kernel.folder.name
    files = checkout_files(*SOURCES)
    shutil.rmtree(tree / folder, ignore_errors=True)
    copy_tree(files, tree)
    log_name = f"modules-{kernel.folder.name}-{folder.replace('/', '-')}"
    if kernel.tree:
        run(log_name, ["make", "-s", "-C", kernel.tree, f"M={tree / folder}", "W=1", *variables,
                       "modules"])
    else:
        binds = {tree: HOME, **kernel.header_binds()}
        run_in_root(root, log_name, binds, "make", "-s", "-C",
                    f"/usr/src/linux-headers-{kernel.release}", f"M={HOME}/{folder}", "W=1",
                    *variables, "modules")
    log = LOGS / f"{log_name}.log"
    warnings = [line for line in log.read_text().splitlines()[1:] if "warning" in line.lower()]
    if warnings:
        raise Failure("\n".join([f"{kernel.release}: warnings in {folder}", *warnings, f"see {log}"]))
    return tree / folder


def had_sparse(kernel: Kernel) -> bool:
    """Whether sparse has looked at the module of this kernel: from 7.0 on Debian's headers lack the script
    that finds it."""
    log = (LOGS / f"modules-{kernel.folder.name}-kmod.log").read_text()
    return "sparse is not available" not in log


def _add_headers(kernel: Kernel, stage: Path) -> None:
    """Puts a kernel's headers on a disk, from where the guest binds them to their places."""
    for folder, place in kernel.header_binds().items():
        target = stage / "headers" / place.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        run("kernel-headers", ["cp", "-a", "--reflink=auto", folder, target])


def _add_modules(kernel: Kernel, stage: Path) -> None:
    target = stage / "lib" / "modules"
    target.mkdir(parents=True, exist_ok=True)
    run("kernel-modules", ["cp", "-a", "--reflink=auto", kernel.modules, target])


def _build_programs(root: Root) -> Path:
    """Builds the checks' own programs, the same for every kernel; returns their folder."""
    tree = BUILD / "modules" / f"programs-{root.key}"
    copy_tree(checkout_files(PROGRAMS), tree)
    run_in_root(root, "programs", {tree: HOME}, "make", "-s", "-C", f"{HOME}/{PROGRAMS}", "CI=1")
    return tree / PROGRAMS / "bin"


@exclusive("modules")
def kernel_disk(root: Root, kernel: Kernel, second: Kernel | None = None) -> Path:
    """The disk that the guest mounts at /opt/cmgr-kernel: lib/modules, built/*.ko and built/bin.
    With a second kernel it has that one's modules too, and headers of both."""
    releases = [each.folder.name for each in (kernel, second) if each]
    key = key_of(root.key, *releases, *checkout_files(*SOURCES))
    disk = BUILD / "kernels" / f"disk-{kernel.release}-{key}.img"
    if disk.exists():
        return disk
    stage = BUILD / "modules" / f"stage-{kernel.release}"
    shutil.rmtree(stage, ignore_errors=True)
    (stage / "built").mkdir(parents=True)
    for folder in ("kmod", "tests/vm/kernel/modules", *([BROKEN] if kernel.tree else [])):
        for module in build(root, kernel, folder).glob("*.ko"):
            shutil.copyfile(module, stage / "built" / module.name)
    shutil.copytree(_build_programs(root), stage / "built" / "bin")
    _add_modules(kernel, stage)
    if second:
        _add_modules(second, stage)
        _add_headers(kernel, stage)
        _add_headers(second, stage)
    used = sum(f.lstat().st_size for f in stage.rglob("*") if not f.is_symlink()) >> 20
    run("kernel-disk", make_disk(disk.with_suffix(".partial"), "cmgr-kernel", 2 * used + 64, stage))
    disk.with_suffix(".partial").rename(disk)
    shutil.rmtree(stage)
    remove_others(disk, f"disk-{kernel.release}-*.img")
    return disk
