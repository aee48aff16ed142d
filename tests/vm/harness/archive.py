"""Debian's archive, every suite that the tests take something from."""

import re
import shutil
import subprocess
import time
from pathlib import Path

from .root import Root
from .step import BUILD, Failure, run

# From the oldest kernel that the product runs on to the newest that Debian has.
SUITES = ("bookworm", "bookworm-backports", "trixie", "trixie-backports")
LISTS_MAX_AGE_S = 24 * 3600


class Archive:
    """Debian's archive as an apt of our own sees it; the machine's own lists stay as they are."""

    def __init__(self, root: Root) -> None:
        self.home = BUILD / "apt"
        for folder in ("lists/partial", "cache/archives/partial", "parts"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        (self.home / "status").touch()
        self._write_sources(root)
        stamp = self.home / "updated"
        if not stamp.exists() or time.time() - stamp.stat().st_mtime > LISTS_MAX_AGE_S:
            run("apt-update", self._command("apt-get", "update"))
            stamp.touch()

    def _write_sources(self, root: Root) -> None:
        """The same mirror that the root came from, for every suite that has a kernel for us."""
        first = (root.tree / "etc" / "apt" / "sources.list").read_text().splitlines()[0]
        found = re.match(r"deb (?:\[[^]]*\] )?(\S+)", first)
        if not found:
            raise Failure(f"kernels: no mirror in the root's sources.list: {first}")
        keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
        lines = [f"deb [signed-by={keyring}] {found[1]} {suite} main\n" for suite in SUITES]
        (self.home / "sources.list").write_text("".join(lines))

    def _command(self, *words: str) -> list[str]:
        # The host's configuration may switch off both package caches; apt-cache then rebuilds them on each
        # call, in 2 s.
        places = {"Dir::Etc::sourcelist": "sources.list", "Dir::Etc::sourceparts": "parts",
                  "Dir::State::lists": "lists", "Dir::State::status": "status", "Dir::Cache": "cache",
                  "Dir::Cache::pkgcache": "cache/packages", "Dir::Cache::srcpkgcache": "cache/sources"}
        options = [f"-o{name}={self.home / place}" for name, place in places.items()]
        return [words[0], *options, "-oAPT::Sandbox::User=root", "-oquiet=0", *words[1:]]

    def _ask(self, *words: str) -> str:
        return subprocess.run(self._command("apt-cache", *words), check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def names(self, prefix: str) -> set[str]:
        """The packages whose names begin so."""
        return set(self._ask("pkgnames", prefix).split())

    def version(self, package: str) -> str:
        """The version that unpack() would fetch."""
        found = re.search(r"^  Candidate: (\d\S*)", self._ask("policy", package), re.M)
        if not found:
            raise Failure(f"kernels: the archive has no {package}")
        return found[1]

    def kbuild_of(self, headers: str) -> str:
        found = re.search(r"^Depends:.*?\b(linux-kbuild-[^\s,]+)", self._ask("show", headers), re.M)
        if not found:
            raise Failure(f"kernels: {headers} depends on no linux-kbuild")
        return found[1]

    def unpack(self, packages: list[str], folder: Path) -> None:
        """Downloads packages of any release and unpacks them; nothing is installed."""
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        debs = partial / "debs"
        debs.mkdir(parents=True)
        script = 'cd "$1" && shift && "$@" && for deb in *.deb; do dpkg -x "$deb" ..; done'
        run("unpack", ["sh", "-c", script, "sh", debs, *self._command("apt-get", "download", *packages)])
        shutil.rmtree(debs)
        partial.rename(folder)
