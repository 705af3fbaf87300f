"""A real Prometheus with the rules of the product, in a hurry: minutes are seconds, thousands are tens."""

import asyncio
import json
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

__all__ = ["PrometheusServer", "hurried"]

RULES = Path(__file__).parents[2] / "vitale_reader" / "metrics" / "prometheus-rules.yml"
DASHBOARD = RULES.with_name("grafana-dashboard.json")
PATIENCE = 90.0

#: What Grafana puts in the place of variables.
VARIABLES = {"$instance": ".*", "$__rate_interval": "10m"}

#: Windows, and amounts that take a morning to come about. The true ones are tried by `promtool test rules`.
WINDOWS = {"[15m]": "[30s]", "[10m]": "[20s]"}
AMOUNTS = {"> 5000": "> 4", "> 500": "> 5", "> 1000": "> 5", "> 50": "> 5"}

CONFIG = """
global: {{scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: vitale-reader
    authorization: {{credentials_file: {bearer}}}
    static_configs: [{{targets: [{targets}]}}]
"""


def hurried(rules: str) -> str:
    """The rules, with windows and amounts that a person can wait for."""
    rules = re.sub(r"^(\s+for:) .*$", r"\1 1s", rules, flags=re.MULTILINE)
    for slow, quick in {**WINDOWS, **AMOUNTS}.items():
        rules = re.sub(re.escape(slow) + r"(?!\d)", quick, rules)
    return rules


class PrometheusServer:
    """The server; ``start`` and ``stop`` it once."""

    def __init__(self, port: int, bearer: Path, targets: list[str]) -> None:
        self._port = port
        self._folder = Path(tempfile.mkdtemp(prefix="vitale-prometheus-"))
        rules = self._folder / "rules.yml"
        rules.write_text(hurried(RULES.read_text("utf-8")), "utf-8")
        listed = ", ".join(f'"{target}"' for target in targets)
        config = CONFIG.format(rules=rules, bearer=bearer, targets=listed)
        (self._folder / "prometheus.yml").write_text(config, "utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def panels() -> list[tuple[str, str]]:
        """Title and query of all that the dashboard for Grafana shows, for all desks over the last minutes."""
        panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
        asked = [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]
        return [(title, re.sub(r"\$\w+", lambda name: VARIABLES[name[0]], query)) for title, query in asked]

    @staticmethod
    def alerts() -> list[str]:
        """The names of all alerts, in their order."""
        reader: Any = YAML(typ="safe")
        (group,) = reader.load(RULES.read_text("utf-8"))["groups"]
        return [str(rule["alert"]) for rule in group["rules"]]

    def start(self) -> None:
        """Starts it; it is asked until it answers."""
        subprocess.run(
            ["promtool", "check", "config", self._folder / "prometheus.yml"], check=True, capture_output=True
        )
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        """Ends it, and leaves nothing behind."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(PATIENCE)
        shutil.rmtree(self._folder)

    async def firing(self, alert: str) -> dict[str, Any] | None:
        """The alert, where it fires."""
        told = await asyncio.to_thread(self._ask, "alerts")
        found = [each for each in told["alerts"] if each["labels"]["alertname"] == alert and each["state"] == "firing"]
        return dict(found[0]) if found else None

    async def targets_up(self, count: int) -> None:
        """Until so many targets were scraped."""
        await self._until(
            lambda: sum(each["health"] == "up" for each in self._ask("targets")["activeTargets"]) == count
        )

    async def names(self) -> set[str]:
        """The names of all series."""
        return set(await asyncio.to_thread(self._ask, "label/__name__/values"))

    async def series(self, query: str) -> list[Any]:
        """What a query comes to now; it is an error where Prometheus does not understand it."""
        told = await asyncio.to_thread(self._ask, f"query?{urllib.parse.urlencode({'query': query})}")
        return list(told["result"])

    async def _until(self, holds: Any) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    if await asyncio.to_thread(holds):
                        return
                except OSError:  # it is only being started
                    pass
                await asyncio.sleep(0.5)

    def _ask(self, what: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/{what}", timeout=10) as answer:
            return json.loads(answer.read())["data"]
