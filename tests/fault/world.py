"""Containers to begin with."""
from __future__ import annotations

import random

from daemon import boottime_ns
from engine import Container, Engine


class World:
    def __init__(self, engine: Engine, seed: int = 0, speed: int = 1) -> None:
        self.engine = engine
        self.speed = speed
        self.random = random.Random(seed)
        self.cgroup_id = 10

    def next_cgroup(self) -> int:
        self.cgroup_id += 1
        return self.cgroup_id

    def add(self, name: str, anon_kib: int, **more: object) -> Container:
        container = Container(
            id=f"{self.random.getrandbits(256):064x}", name=name, cgroup_id=self.next_cgroup(),
            anon_kib=anon_kib, started_ns=boottime_ns(self.speed) - 100 * 10**9, **more)
        self.engine.containers[container.id] = container
        return container

    def restart(self, container: Container) -> None:
        container.life += 1
        container.cgroup_id = self.next_cgroup()
        container.started_ns = boottime_ns(self.speed)
        container.ran_ns = container.waited_ns = 0
        container.state = "running"

    def recreate(self, container: Container) -> Container | None:
        """Another one of the same name."""
        if self.engine.containers.pop(container.id, None):
            return self.add(container.name, container.anon_kib)
        return None
