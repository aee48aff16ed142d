-- What pygraph of version 3 made of an empty database.
CREATE TABLE runs (
    id INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    host TEXT NOT NULL,
    first_ms BIGINT NOT NULL,
    last_ms BIGINT NOT NULL,
    cycles BIGINT NOT NULL,
    finished BOOLEAN NOT NULL,
    rolled_ms BIGINT DEFAULT '0' NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (boot_id, run_id)
);
CREATE INDEX runs_by_run_id ON runs (run_id);
CREATE INDEX runs_by_last_ms ON runs (last_ms);
CREATE TABLE identities (
    id INTEGER NOT NULL,
    container_id TEXT NOT NULL,
    name TEXT NOT NULL,
    image TEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (container_id, name, image)
);
CREATE TABLE cycles (
    id INTEGER NOT NULL,
    run INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    time_ms BIGINT NOT NULL,
    interval_ms BIGINT NOT NULL,
    cpus BIGINT NOT NULL,
    final BOOLEAN NOT NULL,
    no_removal TEXT,
    total_kib BIGINT NOT NULL,
    free_kib BIGINT NOT NULL,
    available_kib BIGINT NOT NULL,
    self_cpu_ns BIGINT NOT NULL,
    self_rss_kib BIGINT NOT NULL,
    self_bpf_ns BIGINT,
    self_bpf_runs BIGINT,
    self_snapshot_us BIGINT NOT NULL,
    self_cycle_us BIGINT NOT NULL,
    kept BIGINT NOT NULL,
    removed BIGINT NOT NULL,
    unremoved BIGINT NOT NULL,
    gone BIGINT NOT NULL,
    ran_ns BIGINT DEFAULT '0' NOT NULL,
    waited_ns BIGINT DEFAULT '0' NOT NULL,
    anon_kib BIGINT DEFAULT '0' NOT NULL,
    file_kib BIGINT DEFAULT '0' NOT NULL,
    gone_ran_ns BIGINT DEFAULT '0' NOT NULL,
    gone_waited_ns BIGINT DEFAULT '0' NOT NULL,
    freed_kib BIGINT DEFAULT '0' NOT NULL,
    freed_max_kib BIGINT DEFAULT '0' NOT NULL,
    freed_ns BIGINT DEFAULT '0' NOT NULL,
    server_cpu_ns BIGINT,
    server_rss_kib BIGINT,
    server_store_us BIGINT,
    dropped BIGINT DEFAULT '0' NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (run, seq),
    CHECK (seq >= 1),
    FOREIGN KEY(run) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE INDEX cycles_by_time ON cycles (run, time_ms);
CREATE INDEX cycles_gone ON cycles (run, time_ms) WHERE gone > 0;
CREATE INDEX cycles_acted ON cycles (run, time_ms) WHERE removed + unremoved > 0;
CREATE TABLE graphs (
    path TEXT NOT NULL,
    run INTEGER NOT NULL,
    name TEXT NOT NULL,
    cycles BIGINT NOT NULL,
    PRIMARY KEY (path),
    FOREIGN KEY(run) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE late (
    run INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    container_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (run, seq, container_id),
    FOREIGN KEY(run) REFERENCES runs (id) ON DELETE CASCADE
)
 WITHOUT ROWID;
CREATE TABLE spans (
    run INTEGER NOT NULL,
    length_ms BIGINT NOT NULL,
    start_ms BIGINT NOT NULL,
    end_ms BIGINT NOT NULL,
    cycles BIGINT NOT NULL,
    window_ms BIGINT NOT NULL,
    capacity_ms BIGINT NOT NULL,
    total_kib BIGINT NOT NULL,
    used_kib BIGINT NOT NULL,
    used_max_kib BIGINT NOT NULL,
    unreclaimable_kib BIGINT NOT NULL,
    kept BIGINT NOT NULL,
    removed BIGINT NOT NULL,
    unremoved BIGINT NOT NULL,
    gone BIGINT NOT NULL,
    ran_ns BIGINT NOT NULL,
    waited_ns BIGINT NOT NULL,
    anon_kib BIGINT NOT NULL,
    file_kib BIGINT NOT NULL,
    gone_ran_ns BIGINT NOT NULL,
    gone_waited_ns BIGINT NOT NULL,
    freed_kib BIGINT NOT NULL,
    freed_max_kib BIGINT NOT NULL,
    freed_ns BIGINT NOT NULL,
    self_cpu_ns BIGINT NOT NULL,
    self_bpf_ns BIGINT NOT NULL,
    self_rss_kib BIGINT NOT NULL,
    self_snapshot_us BIGINT NOT NULL,
    self_cycle_us BIGINT NOT NULL,
    server_cpu_ns BIGINT NOT NULL,
    server_rss_kib BIGINT NOT NULL,
    server_store_us BIGINT NOT NULL,
    server_cycles BIGINT NOT NULL,
    PRIMARY KEY (run, length_ms, start_ms),
    FOREIGN KEY(run) REFERENCES runs (id) ON DELETE CASCADE
)
 WITHOUT ROWID;
CREATE TABLE span_containers (
    run INTEGER NOT NULL,
    length_ms BIGINT NOT NULL,
    start_ms BIGINT NOT NULL,
    identity INTEGER NOT NULL,
    ran_ns BIGINT NOT NULL,
    waited_ns BIGINT NOT NULL,
    anon_kib BIGINT NOT NULL,
    file_kib BIGINT NOT NULL,
    PRIMARY KEY (run, length_ms, start_ms, identity),
    FOREIGN KEY(run) REFERENCES runs (id) ON DELETE CASCADE,
    FOREIGN KEY(identity) REFERENCES identities (id)
)
 WITHOUT ROWID;
CREATE TABLE containers (
    cycle INTEGER NOT NULL,
    position INTEGER NOT NULL,
    identity INTEGER NOT NULL,
    cgroup_id BIGINT NOT NULL,
    ran_ns BIGINT NOT NULL,
    waited_ns BIGINT NOT NULL,
    anon_kib BIGINT NOT NULL,
    file_kib BIGINT NOT NULL,
    usage_kib BIGINT NOT NULL,
    cpu_share FLOAT NOT NULL,
    memory_share FLOAT NOT NULL,
    score FLOAT NOT NULL,
    rank BIGINT,
    class TEXT NOT NULL,
    decision TEXT NOT NULL,
    reason TEXT NOT NULL,
    margin FLOAT,
    outcome TEXT NOT NULL,
    PRIMARY KEY (cycle, position),
    FOREIGN KEY(cycle) REFERENCES cycles (id) ON DELETE CASCADE,
    FOREIGN KEY(identity) REFERENCES identities (id)
)
 WITHOUT ROWID;
CREATE TABLE gone (
    cycle INTEGER NOT NULL,
    position INTEGER NOT NULL,
    cgroup_id BIGINT NOT NULL,
    container_id TEXT,
    name TEXT,
    image TEXT,
    removed BOOLEAN NOT NULL,
    ran_ns BIGINT NOT NULL,
    waited_ns BIGINT NOT NULL,
    freed_kib BIGINT,
    PRIMARY KEY (cycle, position),
    FOREIGN KEY(cycle) REFERENCES cycles (id) ON DELETE CASCADE
)
 WITHOUT ROWID;
CREATE TABLE removals (
    run INTEGER NOT NULL,
    time_ms BIGINT NOT NULL,
    cycle INTEGER NOT NULL,
    position INTEGER NOT NULL,
    done BOOLEAN NOT NULL,
    freed_kib BIGINT NOT NULL,
    freed_ns BIGINT NOT NULL,
    text TEXT NOT NULL,
    gone_kib BIGINT,
    PRIMARY KEY (run, time_ms, cycle, position),
    FOREIGN KEY(run) REFERENCES runs (id) ON DELETE CASCADE,
    FOREIGN KEY(cycle) REFERENCES cycles (id) ON DELETE CASCADE
)
 WITHOUT ROWID;
