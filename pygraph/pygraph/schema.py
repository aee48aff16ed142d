"""The tables. A change here needs a new VERSION and a step from the old one."""

from sqlalchemy import (
    BigInteger,
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

VERSION = 4

CYCLE_SUMS = (
    "ran_ns", "waited_ns", "anon_kib", "file_kib", "gone_ran_ns", "gone_waited_ns",
    "freed_kib", "freed_max_kib", "freed_ns",
)
SERVER_COSTS = ("server_cpu_ns", "server_rss_kib", "server_store_us")
CONTAINER_MEASURES = ("ran_ns", "waited_ns", "anon_kib", "file_kib")
# What a span knows; rollup.MEASURES says how it follows from cycles.
SPAN_MEASURES = (
    "cycles", "window_ms", "capacity_ms", "total_kib", "used_kib", "used_max_kib",
    "unreclaimable_kib", "kept", "removed", "unremoved", "gone", *CYCLE_SUMS,
    "self_cpu_ns", "self_bpf_ns", "self_rss_kib", "self_snapshot_us", "self_cycle_us",
    *SERVER_COSTS, "server_cycles",
)

metadata = MetaData()

# 64 bits everywhere; SQLite makes a key of its own only for a column of type INTEGER.
Key = BigInteger().with_variant(Integer, "sqlite")


def _integer(name: str, nullable: bool = False, default: str | None = None) -> Column:
    return Column(name, BigInteger, nullable=nullable, server_default=default)


def _text(name: str, nullable: bool = False) -> Column:
    return Column(name, Text, nullable=nullable)


def _float(name: str, nullable: bool = False) -> Column:
    return Column(name, Float, nullable=nullable)


def _key(name: str, target: str, **options: bool) -> Column:
    return Column(name, Key, ForeignKey(target, ondelete="CASCADE"), nullable=False, **options)


# first_ms, last_ms and cycles follow from the table cycles; they are kept here, in the same
# transaction, so that a list of runs does not read every cycle. Before rolled_ms, `spans` sum up
# what the cycles say, late ones too. received_ms is when the newest cycle came, by
# pygraph's own clock: a host's may be wrong.
runs = Table(
    "runs",
    metadata,
    Column("id", Key, primary_key=True),
    _text("boot_id"),
    _text("run_id"),
    _text("host"),
    _integer("first_ms"),
    _integer("last_ms"),
    _integer("cycles"),
    Column("finished", Boolean, nullable=False),
    _integer("rolled_ms", default="0"),
    _integer("received_ms", default="0"),
    UniqueConstraint("boot_id", "run_id"),
    Index("runs_by_run_id", "run_id"),
    Index("runs_by_host", "host", "id"),
)

# kept, removed and unremoved count rows of containers; gone those that died by themselves.
# ran_ns to usage_kib are the sums of those rows, gone_ran_ns of those of `gone`, and freed_* of
# the removed ones. server_* is what storing cost pygraph itself, unknown before version 2. dropped
# is how many records the daemon had dropped by then.
cycles = Table(
    "cycles",
    metadata,
    Column("id", Key, primary_key=True),
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
    *(_integer(name, default="0") for name in CYCLE_SUMS),
    *(_integer(name, nullable=True) for name in SERVER_COSTS),
    _integer("dropped", default="0"),
    UniqueConstraint("run", "seq"),
    CheckConstraint("seq >= 1"),
)
Index("cycles_by_time", cycles.c.run, cycles.c.time_ms)
# Most cycles of a quiet host remove nothing: these find the few that did without a scan.
for _name, _few in (("cycles_acted", "removed + unremoved > 0"), ("cycles_gone", "gone > 0")):
    Index(
        _name, cycles.c.run, cycles.c.time_ms,
        sqlite_where=text(_few), postgresql_where=text(_few),
    )

# A container is in every cycle of its life: its three long texts are stored once.
identities = Table(
    "identities",
    metadata,
    Column("id", Key, primary_key=True),
    _text("container_id"),
    _text("name"),
    _text("image"),
    UniqueConstraint("container_id", "name", "image"),
)

containers = Table(
    "containers",
    metadata,
    _key("cycle", "cycles.id", primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("identity", Key, ForeignKey("identities.id"), nullable=False),
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
    Column("position", Integer, primary_key=True, autoincrement=False),
    _integer("cgroup_id"),
    _text("container_id", nullable=True),
    _text("name", nullable=True),
    _text("image", nullable=True),
    # By the daemon, and so among the removals too; the others died by themselves.
    Column("removed", Boolean, nullable=False),
    _integer("ran_ns"),
    _integer("waited_ns"),
    # Unknown before version 3.
    _integer("freed_kib", nullable=True),
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
    Index("graphs_by_run", "run", "cycles"),
)

# The rows of `containers` that were to be removed, in the order people look through them. `text`
# is what a search looks at, in lower case: name, image, ID, reason and outcome. gone_kib is what the
# container was charged when it was last seen, once a record tells that it is gone; before that,
# freed_kib is what it was charged when it was to be removed.
removals = Table(
    "removals",
    metadata,
    _key("run", "runs.id", primary_key=True),
    Column("time_ms", BigInteger, primary_key=True, autoincrement=False),
    _key("cycle", "cycles.id", primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("done", Boolean, nullable=False),
    _integer("freed_kib"),
    _integer("freed_ns"),
    _text("text"),
    _integer("gone_kib", nullable=True),
    Index("removals_by_memory", "run", "freed_kib", "time_ms", "cycle", "position"),
    Index("removals_by_cpu", "run", "freed_ns", "time_ms", "cycle", "position"),
    sqlite_with_rowid=False,
)

# Outcomes that were told in a later record than the removal. They are kept: that record may come
# first.
late = Table(
    "late",
    metadata,
    _key("run", "runs.id", primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("container_id", Text, primary_key=True),
    _text("outcome"),
    sqlite_with_rowid=False,
)


def _span_keys() -> list[Column]:
    return [
        _key("run", "runs.id", primary_key=True),
        Column("length_ms", BigInteger, primary_key=True, autoincrement=False),
        Column("start_ms", BigInteger, primary_key=True, autoincrement=False),
    ]


# Cycles and containers summed up over ten minutes and over six hours: see rollup.py. Of the
# containers, only the largest of each span are in it.
spans = Table(
    "spans",
    metadata,
    *_span_keys(),
    _integer("end_ms"),
    *(_integer(name) for name in SPAN_MEASURES),
    sqlite_with_rowid=False,
)

span_containers = Table(
    "span_containers",
    metadata,
    *_span_keys(),
    Column("identity", Key, ForeignKey("identities.id"), primary_key=True, autoincrement=False),
    *(_integer(name) for name in CONTAINER_MEASURES),
    sqlite_with_rowid=False,
)
