"""The tables. A change here needs a new VERSION and a step from the old one."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

VERSION = 1

metadata = MetaData()


def _integer(name: str, nullable: bool = False) -> Column:
    return Column(name, Integer, nullable=nullable)


def _text(name: str, nullable: bool = False) -> Column:
    return Column(name, Text, nullable=nullable)


def _float(name: str, nullable: bool = False) -> Column:
    return Column(name, Float, nullable=nullable)


def _key(name: str, target: str, **options: bool) -> Column:
    return Column(name, Integer, ForeignKey(target, ondelete="CASCADE"), nullable=False, **options)


# first_ms, last_ms and cycles follow from the table cycles; they are kept here, in the same
# transaction, so that a list of runs does not read every cycle.
runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    _text("boot_id"),
    _text("run_id"),
    _text("host"),
    _integer("first_ms"),
    _integer("last_ms"),
    _integer("cycles"),
    Column("finished", Boolean, nullable=False),
    UniqueConstraint("boot_id", "run_id"),
    Index("runs_by_run_id", "run_id"),
    Index("runs_by_last_ms", "last_ms"),
)

# kept, removed and unremoved count rows of containers; gone those that died by themselves.
cycles = Table(
    "cycles",
    metadata,
    Column("id", Integer, primary_key=True),
    _key("run", "runs.id"),
    _integer("seq"),
    _integer("time_ms"),
    _integer("interval_ms"),
    _integer("cpus"),
    Column("final", Boolean, nullable=False),
    _text("no_removal", nullable=True),
    _integer("total_kib"),
    _integer("free_kib"),
    _integer("available_kib"),
    _integer("self_cpu_ns"),
    _integer("self_rss_kib"),
    _integer("self_bpf_ns", nullable=True),
    _integer("self_bpf_runs", nullable=True),
    _integer("self_snapshot_us"),
    _integer("self_cycle_us"),
    _integer("kept"),
    _integer("removed"),
    _integer("unremoved"),
    _integer("gone"),
    UniqueConstraint("run", "seq"),
    CheckConstraint("seq >= 1"),
)
Index("cycles_by_time", cycles.c.run, cycles.c.time_ms)
# Most cycles of a quiet host remove nothing: these find the few that did without a scan.
Index("cycles_acted", cycles.c.run, cycles.c.time_ms, sqlite_where=text("removed + unremoved > 0"))
Index("cycles_gone", cycles.c.run, cycles.c.time_ms, sqlite_where=text("gone > 0"))

# A container is in every cycle of its life: its three long texts are stored once.
identities = Table(
    "identities",
    metadata,
    Column("id", Integer, primary_key=True),
    _text("container_id"),
    _text("name"),
    _text("image"),
    UniqueConstraint("container_id", "name", "image"),
)

containers = Table(
    "containers",
    metadata,
    _key("cycle", "cycles.id", primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("identity", Integer, ForeignKey("identities.id"), nullable=False),
    _integer("cgroup_id"),
    _integer("ran_ns"),
    _integer("waited_ns"),
    _integer("anon_kib"),
    _integer("file_kib"),
    _integer("usage_kib"),
    _float("cpu_share"),
    _float("memory_share"),
    _float("score"),
    _integer("rank", nullable=True),
    _text("class"),
    _text("decision"),
    _text("reason"),
    _float("margin", nullable=True),
    _text("outcome"),
    sqlite_with_rowid=False,
)

gone = Table(
    "gone",
    metadata,
    _key("cycle", "cycles.id", primary_key=True),
    Column("position", Integer, primary_key=True),
    _integer("cgroup_id"),
    _text("container_id", nullable=True),
    _text("name", nullable=True),
    _text("image", nullable=True),
    # By the daemon, and so among the removals too; the others died by themselves.
    Column("removed", Boolean, nullable=False),
    _integer("ran_ns"),
    _integer("waited_ns"),
    sqlite_with_rowid=False,
)

# Final graph files. A file is current while `cycles` equals that of its run. The path is the
# key: a run of another boot with the same run_id takes over the file, not only the row.
graphs = Table(
    "graphs",
    metadata,
    Column("path", Text, primary_key=True),
    _key("run", "runs.id"),
    _text("name"),
    _integer("cycles"),
)
