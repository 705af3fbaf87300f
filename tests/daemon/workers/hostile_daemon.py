"""A real daemon whose drivers are ``hostile_worker.py``: ``hostile_daemon.py HOME RESULTS``."""

import functools
import sys
from pathlib import Path

from vitale_reader.daemon import app
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.workers import supervisor
from vitale_reader.daemon.workers.heartbeat import Beat
from vitale_reader.daemon.workers.worker import Worker
from vitale_reader.home import Endpoints, Home

WORKER = Path(__file__).with_name("hostile_worker.py")
CONFIGURATION = """
[drivers]
enabled = ["hostile", "victim"]
[drivers.options.hostile]
home = "{home}"
results = "{results}"
[drivers.options.victim]
results = "{results}"
[tls]
enabled = false
"""


def ready(_endpoints: Endpoints) -> None:
    print("ready", flush=True)


if __name__ == "__main__":
    home, results = sys.argv[1:]
    # A busy machine is no reason to end a worker, which would have to try everything anew, or be another victim.
    setattr(app, "Beat", functools.partial(Beat, starting=120.0, patience=120.0))  # noqa: B010  imported there
    hostile = functools.partial(Worker, command=(sys.executable, "-P", str(WORKER)))
    setattr(supervisor, "Worker", hostile)  # noqa: B010  imported there
    text = CONFIGURATION.format(home=home, results=results)
    Home.under(Path(home)).config.write_text(text)
    app.run(Home.under(Path(home)), parse(text), on_ready=ready)
