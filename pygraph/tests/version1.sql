CREATE TABLE runs (
	id INTEGER NOT NULL, 
	boot_id TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	host TEXT NOT NULL, 
	first_ms INTEGER NOT NULL, 
	last_ms INTEGER NOT NULL, 
	cycles INTEGER NOT NULL, 
	finished BOOLEAN NOT NULL, 
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
	seq INTEGER NOT NULL, 
	time_ms INTEGER NOT NULL, 
	interval_ms INTEGER NOT NULL, 
	cpus INTEGER NOT NULL, 
	final BOOLEAN NOT NULL, 
	no_removal TEXT, 
	total_kib INTEGER NOT NULL, 
	free_kib INTEGER NOT NULL, 
	available_kib INTEGER NOT NULL, 
	self_cpu_ns INTEGER NOT NULL, 
	self_rss_kib INTEGER NOT NULL, 
	self_bpf_ns INTEGER, 
	self_bpf_runs INTEGER, 
	self_snapshot_us INTEGER NOT NULL, 
	self_cycle_us INTEGER NOT NULL, 
	kept INTEGER NOT NULL, 
	removed INTEGER NOT NULL, 
	unremoved INTEGER NOT NULL, 
	gone INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (run, seq), 
	CHECK (seq >= 1), 
	FOREIGN KEY(run) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE INDEX cycles_gone ON cycles (run, time_ms) WHERE gone > 0;
CREATE INDEX cycles_by_time ON cycles (run, time_ms);
CREATE INDEX cycles_acted ON cycles (run, time_ms) WHERE removed + unremoved > 0;
CREATE TABLE graphs (
	path TEXT NOT NULL, 
	run INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	cycles INTEGER NOT NULL, 
	PRIMARY KEY (path), 
	FOREIGN KEY(run) REFERENCES runs (id) ON DELETE CASCADE
);
CREATE TABLE containers (
	cycle INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	identity INTEGER NOT NULL, 
	cgroup_id INTEGER NOT NULL, 
	ran_ns INTEGER NOT NULL, 
	waited_ns INTEGER NOT NULL, 
	anon_kib INTEGER NOT NULL, 
	file_kib INTEGER NOT NULL, 
	usage_kib INTEGER NOT NULL, 
	cpu_share FLOAT NOT NULL, 
	memory_share FLOAT NOT NULL, 
	score FLOAT NOT NULL, 
	rank INTEGER, 
	class TEXT NOT NULL, 
	decision TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	margin FLOAT, 
	outcome TEXT NOT NULL, 
	PRIMARY KEY (cycle, position), 
	FOREIGN KEY(cycle) REFERENCES cycles (id) ON DELETE CASCADE, 
	FOREIGN KEY(identity) REFERENCES identities (id)
)
 WITHOUT ROWID

;
CREATE TABLE gone (
	cycle INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	cgroup_id INTEGER NOT NULL, 
	container_id TEXT, 
	name TEXT, 
	image TEXT, 
	removed BOOLEAN NOT NULL, 
	ran_ns INTEGER NOT NULL, 
	waited_ns INTEGER NOT NULL, 
	PRIMARY KEY (cycle, position), 
	FOREIGN KEY(cycle) REFERENCES cycles (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
