"""Tasks of the daemon: whatever nobody awaits is one of ``BackgroundTasks``, so that its end by a fault is told."""

import ast
from pathlib import Path

import vitale_reader.daemon

DAEMON = Path(vitale_reader.daemon.__file__).parent

#: Modules that make tasks of their own, and how each of them learns of a fault.
AWAITED = {
    "fairness/audit_queue.py": "each line is an attempt, and the end awaits it",
    "issuing/delivery.py": "whoever asked awaits it, or another task of the background",
    "lifecycle.py": "the end looks at each stage",
    "metrics/exporter.py": "its end is looked at",
    "observation/incidents.py": "the tasks of the background themselves",
    "site/listener.py": "awaited in place",
    "site/rows/desks.py": "awaited in place",
    "store/spool.py": "each round is caught",
    "workers/worker.py": "awaited with the end of the process, or in place",
}


def _makes_task(call: ast.AST) -> bool:
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in {"create_task", "ensure_future"}
    )


def test_nobody_makes_a_task_whose_fault_is_told_to_nobody() -> None:
    found = {
        module.relative_to(DAEMON).as_posix()
        for module in DAEMON.rglob("*.py")
        if any(_makes_task(node) for node in ast.walk(ast.parse(module.read_bytes())))
    }
    assert found == AWAITED.keys()
