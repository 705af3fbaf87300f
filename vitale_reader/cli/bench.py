"""``vitale-reader bench``: the promises of the architecture, measured here and now beside their baselines."""

from typing import TYPE_CHECKING

import click

from vitale_reader.cli import output
from vitale_reader.cli.command import as_json, command
from vitale_reader.cli.text import t

if TYPE_CHECKING:
    from vitale_reader.cli.bench_lines import Measure

__all__ = ["bench"]


@command(
    "bench",
    help=t(
        "Mesure sur cette machine, carte simulée derrière un vrai pcscd et téléphone simulé derrière de vrais nfcpy "
        "et pyserial, chaque promesse à côté de sa référence.",
        "Measures on this machine, a simulated card behind a real pcscd and a simulated phone behind real nfcpy and "
        "pyserial, each promise beside its baseline.",
    ),
)
@click.option(
    "--readings",
    type=click.IntRange(20, 10_000),
    default=300,
    show_default=True,
    help=t("Lectures par voie.", "Readings over each way."),
)
@click.option(
    "--idle",
    type=click.IntRange(1, 3_600),
    default=30,
    show_default=True,
    help=t("Secondes de repos pour la charge au repos.", "Seconds of rest for the idle load."),
)
@click.option(
    "--taps",
    type=click.IntRange(2, 1_000),
    default=30,
    show_default=True,
    help=t("Poses du téléphone par voie et par vitesse.", "Taps of the phone for each way and each speed."),
)
@as_json
def bench(readings: int, idle: int, taps: int, as_json: bool) -> None:
    """The command."""
    from vitale_reader.cli.bench_measures import measure_all

    with output.progress(t("Mesures en cours…", "Measuring…")) as say:
        measures = measure_all(readings, idle, taps, say)
    if as_json:
        output.print_json(measures)
        return
    output.table(
        (
            t("Mesure", "Measure"),
            t("Référence", "Baseline"),
            "p50",
            "p95",
            t("Ici", "Ours"),
            "p50",
            "p95",
            t("Promesse", "Promise"),
            "",
        ),
        [_row(measure) for measure in measures],
    )


def _row(measure: "Measure") -> tuple[str, ...]:
    def show(value: float | None) -> str:
        return "" if value is None else f"{value:.3g} {measure.unit}" if value < 1000 else f"{value:.0f} {measure.unit}"

    kept = {None: "", True: t("tenue", "kept"), False: t("NON TENUE", "NOT KEPT")}[measure.kept]
    return (
        measure.name,
        measure.baseline,
        show(measure.baseline_p50),
        show(measure.baseline_p95),
        measure.ours,
        show(measure.p50),
        show(measure.p95),
        measure.promise,
        kept,
    )
