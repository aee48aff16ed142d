"""The debug kernel: Debian's source with the options of tests/vm/debug-kernel/config."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from .cache import key_of
from .kernels import Archive, Kernel
from .step import BUILD, CHECKOUT, Failure, run, run_as_root, step

SOURCE = "linux-source-6.12"
OPTIONS = CHECKOUT / "tests" / "vm" / "debug-kernel" / "config"
# Half of the source, and no part of a kernel without graphics.
LEFT_OUT = (f"{SOURCE}/drivers/gpu/*.[ch]", f"{SOURCE}/Documentation/*/*")


def debug_kernel(archive: Archive) -> Kernel:
    """The debug kernel with the tree it was built in; both are made if there are none yet."""
    if platform.machine() != "x86_64":
        raise Failure("debug kernel: its options are for x86-64 alone")
    version = archive.version(SOURCE)
    folder = BUILD / f"debug-kernel-{key_of(version, _compiler(), OPTIONS)}"
    tree = folder / SOURCE
    if not (folder / "boot").exists():
        for old in BUILD.glob("debug-kernel-*"):
            if old != folder:
                run_as_root("clean-debug-kernel", ["rm", "-rf", old])
        if not tree.exists():
            _unpack(archive, version, tree)
        _configure(tree)
        with step("debug kernel", "builds it: 10 to 15 minutes on 2 cores, once"):
            _make("debug-kernel", tree, f"-j{os.cpu_count()}", "bzImage", "modules")
        _install(folder, tree)
    return Kernel(_release(tree), folder, tree)


def _compiler() -> str:
    command = ["gcc", "--version"]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def _make(log_name: str, tree: Path, *words: str) -> None:
    run(log_name, ["nice", "-n4", "make", "-C", tree, *words])


def _release(tree: Path) -> str:
    return (tree / "include" / "config" / "kernel.release").read_text().strip()


def _unpack(archive: Archive, version: str, tree: Path) -> None:
    with step("debug kernel", f"fetches and unpacks {SOURCE} {version}"):
        package = tree.with_name("package")
        archive.unpack([SOURCE], package)
        partial = tree.with_name("partial")
        partial.mkdir(exist_ok=True)
        run("debug-kernel-source", ["tar", "-C", partial, *(f"--exclude={it}" for it in LEFT_OUT),
                                    "-xf", package / "usr" / "src" / f"{SOURCE}.tar.xz"])
        (partial / SOURCE).rename(tree)
        partial.rmdir()
        shutil.rmtree(package)


def _configure(tree: Path) -> None:
    """allnoconfig with the wanted options; one that Kconfig left out, as its dependencies are
    missing, is a failure."""
    run("debug-kernel-config", ["env", "-C", tree, "scripts/kconfig/merge_config.sh", "-n", OPTIONS])
    made = set((tree / ".config").read_text().splitlines())
    wanted = re.findall(r"^(?:CONFIG_\w+=.*|# CONFIG_\w+ is not set)$", OPTIONS.read_text(), re.M)
    missing = [option for option in wanted if option not in made]
    if missing:
        raise Failure(f"debug kernel: not in the configuration: {', '.join(missing)}")


def _install(folder: Path, tree: Path) -> None:
    """What is booted, and the lists that modprobe reads; objects that no module needs go."""
    release = _release(tree)
    _make("debug-kernel-modules", tree, "modules_install", f"INSTALL_MOD_PATH={folder / 'usr'}")
    (folder / "usr" / "lib" / "modules" / release / "build").unlink(missing_ok=True)
    kept = ["-not", "-path", "./scripts/*", "-not", "-path", "./tools/*"]
    run("debug-kernel-clean", ["env", "-C", tree, "find", ".", "-name", "*.[oa]", *kept,
                               "-type", "f", "-delete"])
    partial = folder / "boot.partial"
    partial.mkdir(exist_ok=True)
    shutil.copyfile(tree / "arch/x86/boot/bzImage", partial / f"vmlinuz-{release}")
    partial.rename(folder / "boot")
