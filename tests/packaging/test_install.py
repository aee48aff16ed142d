"""What `make install` puts where, what the units may do, and that texts name every option."""

import os
import re
import shutil
import subprocess
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest
from conftest import CHECKOUT, COMMANDS, known_options, options_of, release, run

EXPOSURE_MAX = 3.0
SETTINGS = {"etc/default/cmgr-bpf", "etc/default/pygraph"}
MODULE = {"sysinfo.c", "sysinfo.h", "compat.h", "Kbuild", "dkms.conf"}


def make(*words: str) -> None:
    subprocess.run(["make", "-s", "-C", CHECKOUT, *words], check=True, stdout=subprocess.DEVNULL)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


# In a mount namespace, with what is there empty, and the folder of the programs that only tell that they were
# called before the others.
ALONE = """
for place in /run /usr/src /usr/local /var/lib /etc/cron.d /sys; do
    ! [ -d $place ] || mount -t tmpfs none $place
done
mkdir -p /run/systemd/system && PATH=$1:$PATH && eval "$2"
"""


class Host:
    """A script run as if by root on a host; each program that it calls tells it in a line."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.log = folder / "called"
        for name in ("systemctl", "dkms", "modprobe"):
            self.answer(name, "exit 0")
        self.answer("dpkg", "exit 1")   # nothing here is of a package

    def answer(self, name: str, script: str) -> None:
        (self.programs / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{self.log}\n{script}\n')
        (self.programs / name).chmod(0o755)

    def run(self, script: str) -> "subprocess.CompletedProcess[str]":
        self.log.write_text("")
        namespace = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
        return subprocess.run([*namespace, "sh", "-ec", ALONE, "sh", self.programs, script],
                              cwd=CHECKOUT, text=True, check=False, capture_output=True, timeout=120)

    def called(self) -> list[str]:
        lines = self.log.read_text().splitlines()
        return [line for line in lines if not line.startswith("dpkg ")]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture(scope="module", params=["/usr", "/usr/local"])
def prefix(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, prefix: str) -> Path:
    folder = tmp_path_factory.mktemp("root")
    make("install", "install-pygraph", f"DESTDIR={folder}", f"PREFIX={prefix}")
    return folder


def test_files(installed: Path, prefix: str) -> None:
    place = prefix[1:]
    pygraph = {name for name in files(installed) if name.startswith(f"{place}/share/pygraph/")}
    assert len(pygraph) == len(subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", CHECKOUT, "ls-files", "pygraph/pygraph"], text=True,
        check=True, stdout=subprocess.PIPE).stdout.split())
    assert files(installed) - pygraph == SETTINGS | {f"{place}/{name}" for name in (
        "sbin/cmgr-bpf", "lib/systemd/system/cmgr-bpf.service",
        "lib/systemd/system/pygraph.service", "lib/tmpfiles.d/cmgr-bpf.conf",
        "lib/modules-load.d/cmgr-bpf.conf", "share/man/man8/cmgr-bpf.8",
        "share/man/man4/cmgr-sysinfo.4", "share/bash-completion/completions/cmgr-bpf")} | {
        f"usr/src/cmgr-bpf-{release()}/{name}" for name in MODULE}
    for name in files(installed) - pygraph - {f"{place}/sbin/cmgr-bpf"}:
        assert not re.search("@[A-Z]+@", (installed / name).read_text()), name
    for name in SETTINGS:   # they may hold a token
        assert (installed / name).stat().st_mode & 0o777 == 0o640
    unit = (installed / place / "lib/systemd/system/cmgr-bpf.service").read_text()
    assert f"\nExecStart={prefix}/sbin/cmgr-bpf run $CMGR_OPTIONS\n" in unit


def test_settings_are_kept_and_uninstall_leaves_them_alone(tmp_path: Path) -> None:
    make("install", f"DESTDIR={tmp_path}")
    (tmp_path / "etc/default/cmgr-bpf").write_text("mine")
    make("install", f"DESTDIR={tmp_path}")
    assert (tmp_path / "etc/default/cmgr-bpf").read_text() == "mine"
    make("uninstall", f"DESTDIR={tmp_path}")
    assert files(tmp_path) == {"etc/default/cmgr-bpf"}


def test_uninstall_ends_what_runs_first(host: Host) -> None:
    host.answer("cleanup", "exit $CODE")
    install = ("make -s install-daemon install-module install-pygraph; "
               "cp \"$1/cleanup\" /usr/local/sbin/cmgr-bpf; ")
    units = "/usr/local/lib/systemd/system"
    for code in (0, 1):     # 1: there is an engine, and it fails
        ended = host.run(f"{install} rm {units}/pygraph.service; export CODE={code}; "
                         "make -s uninstall; ls /usr/local/sbin /usr/src")
        assert (ended.returncode, ended.stdout.split()[-2:]) == (0, ["/usr/local/sbin:", "/usr/src:"])
        assert host.called() == [
            "systemctl -q disable --now cmgr-bpf.service", "cleanup cleanup", "modprobe -q -r sysinfo",
            f"dkms remove cmgr-bpf/{release()} --all", "systemctl daemon-reload"]
    ended = host.run(f"{install} export CODE=0; make -s uninstall")
    assert ended.returncode == 0 and [line for line in host.called() if "disable" in line] == [
        f"systemctl -q disable --now {name}.service" for name in ("cmgr-bpf", "pygraph")]
    # A daemon that was started by hand goes on, and all that is its own stays.
    ended = host.run(f"{install} export CODE=4; ! make -s uninstall && ls /usr/local/sbin")
    assert ended.returncode == 0 and ended.stdout.split()[-1] == "cmgr-bpf"
    assert host.called()[-1] == "cleanup cleanup"


def test_a_module_of_the_same_version_is_built_again(host: Host) -> None:
    host.answer("dkms", "[ $1 = install ]")
    assert host.run("make -s install").returncode == 0
    assert host.called()[:2] == [f"dkms remove cmgr-bpf/{release()} --all",
                                 f"dkms install --force cmgr-bpf/{release()}"]


def test_older_versions_go(host: Host) -> None:
    older = "mkdir /usr/src/cmgr-bpf-0.0.9 /usr/src/cmgr-bpf-x; touch /usr/src/cmgr-bpf-0.0.9/dkms.conf; "
    for target, left in (("install", [f"cmgr-bpf-{release()}", "cmgr-bpf-x"]), ("uninstall", ["cmgr-bpf-x"])):
        ended = host.run(f"{older} make -s {target}; ls /usr/src")
        assert ended.returncode == 0 and ended.stdout.split()[-len(left):] == left, ended
        assert "cmgr-bpf-0.0.9" not in ended.stdout
        removed = [line for line in host.called() if line.startswith("dkms remove")]
        assert sorted(removed) == [f"dkms remove cmgr-bpf/{version} --all" for version in ("0.0.9", release())]


def test_older_versions_go_from_a_folder(host: Host, tmp_path: Path) -> None:
    older = tmp_path / "root/usr/src/cmgr-bpf-0.0.9"
    older.mkdir(parents=True)
    (older / "dkms.conf").touch()
    ended = host.run(f"make -s install DESTDIR={tmp_path}/root")
    assert ended.returncode == 0 and not older.exists() and host.called() == [], ended


@pytest.mark.parametrize("loaded,installed,calls", [
    (None, None, ["modprobe sysinfo"]),
    ("A1", None, ["modprobe sysinfo"]),     # by insmod, of a checkout
    (None, "A1", ["modprobe sysinfo"]),
    ("A1", "A1", ["modprobe sysinfo"]),
    ("A1", "B2", ["modprobe -r sysinfo", "modprobe sysinfo"]),
])
def test_the_service_loads_the_module_that_is_installed(
        host: Host, loaded: str | None, installed: str | None, calls: list[str]) -> None:
    host.answer("modinfo", f"echo {installed}" if installed else "exit 1")
    unit = (CHECKOUT / "packaging/systemd/cmgr-bpf.service").read_text().replace("\\\n", " ")
    command = re.search("^ExecStartPre=-[+](.*)$", unit, re.M)[1].replace("$$", "$")
    if loaded:
        command = (f"mkdir -p /sys/module/sysinfo; echo {loaded} >/sys/module/sysinfo/srcversion; "
                   f"{command}")
    assert host.run(command).returncode == 0
    assert host.called() == ["modinfo -F srcversion sysinfo", *calls]


@pytest.mark.parametrize("target", ["install", "uninstall"])
def test_what_is_of_a_package_is_left_alone(host: Host, tmp_path: Path, target: str) -> None:
    host.answer("dpkg", "case $2 in /usr/src/cmgr-bpf-\\*/*) exit 0; esac; exit 1")
    ended = host.run(f"make -s {target} || ls -R /usr/src /usr/local && exit 1")
    assert ended.stdout.split() == ["/usr/local:", "/usr/src:"] and host.called() == []
    assert "sudo apt-get purge cmgr-bpf cmgr-bpf-dkms\n" in ended.stderr
    make(target, f"DESTDIR={tmp_path}/elsewhere")


@pytest.mark.parametrize("target,built", [
    ("install", "cmgr-bpf"), ("exact", "build/exact"), ("test-deb", "deb-tree"),
    ("bench-bpf", "build/bench/hold build/bench/reading build/bench/ring"),
])
def test_root_builds_as_who_called_sudo(host: Host, target: str, built: str) -> None:
    host.answer("setpriv", "exit 9")
    host.answer("stat", "echo 1234")    # whose the checkout is
    host.answer("mountpoint", "exit 0")
    ended = host.run(f"HOST_PACKAGES=no SUDO_UID=1234 SUDO_GID=99 make -s {target}")
    assert ended.returncode == 2, ended
    assert host.called()[-1] == f"setpriv --reuid=1234 --regid=99 --clear-groups make {built}"
    host.run("SUDO_UID=1235 SUDO_GID=99 make -s install-daemon; make -s install-daemon")
    assert not any("setpriv" in line for line in host.called())


def test_test_deb_gives_back_all_but_its_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader = SourceFileLoader("deb", str(CHECKOUT / "tests/packaging/deb"))
    deb = module_from_spec(spec_from_loader("deb", loader))
    loader.exec_module(deb)
    for name in ("cmgr-bpf-0.1.0", "newer", "root-build-1"):
        (tmp_path / name).mkdir()
    calls: list[tuple] = []
    monkeypatch.setattr(deb, "run", lambda *words: calls.append(words))
    for name in ("SUDO_UID", "SUDO_GID"):
        monkeypatch.delenv(name, raising=False)
    deb.give_back(tmp_path)
    assert calls == []
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "99")
    deb.give_back(tmp_path)
    assert calls[0] == ("chown", "-h", "1234:99", tmp_path) and sorted(calls[1:]) == [
        ("chown", "-hR", "1234:99", tmp_path / name) for name in ("cmgr-bpf-0.1.0", "newer")]


def script(name: str) -> str:
    """Of the Debian packages."""
    return (CHECKOUT / "packaging/debian" / name).read_text()


@pytest.mark.parametrize("code,ends", [(0, 0), (1, 0), (3, 0), (4, 1)])
def test_the_package_is_not_removed_below_a_daemon(host: Host, code: int, ends: int) -> None:
    host.answer("cmgr-bpf", f"exit {code}")
    prerm = script("cmgr-bpf.prerm").replace("/usr/sbin/", "")
    assert host.run(f"set -- upgrade; {prerm}").returncode == 0 and host.called() == []
    ended = host.run(f"set -- remove; {prerm}")
    assert ended.returncode == ends and host.called() == ["cmgr-bpf cleanup"]
    assert ("and then remove the package" in ended.stderr) == (code == 4)


@pytest.mark.parametrize("runs,lock", [(True, "$daemon"), (False, "$daemon"), (False, "$$"), (False, "")])
def test_what_a_daemon_uses_is_not_purged(host: Host, runs: bool, lock: str) -> None:
    begin = f"""
        mkdir -p /var/lib/cmgr-bpf/spool /run/cmgr-bpf
        cp "$(command -v sleep)" /run/cmgr-bpf/cmgr-bpf
        /run/cmgr-bpf/cmgr-bpf 60 >/dev/null 2>&1 & daemon=$!
        until [ "$(cat /proc/$daemon/comm)" = cmgr-bpf ]; do :; done
        {"" if runs else "kill $daemon; wait $daemon || :"}
        echo {lock} >/run/cmgr-bpf/lock
        """
    end = "ls -d /var/lib/cmgr-bpf /run/cmgr-bpf 2>/dev/null || :; kill $daemon 2>/dev/null || :"
    ended = host.run(begin + f"set -- purge\n{script('cmgr-bpf.postrm')}" + end)
    assert ended.returncode == 0, ended
    assert ended.stdout.split() == (["/run/cmgr-bpf", "/var/lib/cmgr-bpf"] if runs else [])
    assert ("rm -r /var/lib/cmgr-bpf" in ended.stderr) == runs
    ended = host.run(begin + f"set -- remove\n{script('cmgr-bpf-dkms.prerm')}" + end)
    assert ended.returncode == 0 and host.called() == ([] if runs else ["modprobe -q -r sysinfo"])


@pytest.mark.parametrize("name", ["cmgr-bpf", "pygraph"])
def test_units_are_confined(installed: Path, prefix: str, name: str) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here; make test-deb looks at the units, too")
    unit = installed / prefix[1:] / f"lib/systemd/system/{name}.service"
    told = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=true", unit],
                          text=True, check=False, capture_output=True)
    level = re.search(r"exposure level for .*: ([0-9.]+)", told.stdout)
    assert level and float(level[1]) <= EXPOSURE_MAX, told


def test_the_manual_names_everything() -> None:
    text = (CHECKOUT / "packaging/man/cmgr-bpf.8").read_text().replace("\\-", "-")
    for option in known_options():
        assert f"--{option}" in text, option
    for command in COMMANDS:
        assert re.search(rf'^\.BI? {command}\b', text, re.M), command
    table = (CHECKOUT / "README.md").read_text()
    for option in known_options() - {"help", "usage", "version"}:
        assert f"--{option}" in table, option


def test_the_doctor_is_asked_by_the_settings(tmp_path: Path) -> None:
    command = re.search(r"^sudo (sh -c '.*')", (CHECKOUT / "README.md").read_text(), re.M)[1]
    settings = tmp_path / "settings"
    settings.write_text('CMGR_OPTIONS="--no-cron --interval 5"\nDOCKER_HOST=unix:///x\n')
    (tmp_path / "cmgr-bpf").write_text('#!/bin/sh\necho "$*" $DOCKER_HOST\n')
    (tmp_path / "cmgr-bpf").chmod(0o755)
    told = subprocess.run(["sh", "-c", command.replace("/etc/default/cmgr-bpf", str(settings))],
                          text=True, check=True, stdout=subprocess.PIPE,
                          env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert told.stdout == "doctor --no-cron --interval 5 unix:///x\n"


def completed(*words: str) -> set[str]:
    """What bash offers for the last word."""
    script = """
        compopt() { :; }
        source "$0" && COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) && _cmgr_bpf && echo "${COMPREPLY[@]}"
    """
    told = subprocess.run(["bash", "-c", script, CHECKOUT / "packaging/completion.bash", "cmgr-bpf",
                           *words], text=True, check=True, stdout=subprocess.PIPE)
    return set(told.stdout.split())


def test_completion() -> None:
    assert completed("") == set(COMMANDS)
    assert completed("s") == {"snapshot", "spawn"}
    assert completed("--rank", "") == {"dominant", "cpu", "memory", "demand"}
    assert completed("run", "--action", "p") == {"pause"}
    offered = set()
    for command in COMMANDS:
        words = completed(command, "--")
        offered |= words
        # Each is one that the command takes.
        everywhere = {"--help", "--version"}
        assert words - everywhere <= {f"--{name}" for name in options_of(command)}, command
        for word in everywhere & words:
            assert run(command, word).returncode == 0, (command, word)
    assert offered == {f"--{name}" for name in known_options() - {"usage"}}
