"""``python -m tests.benchmarks``: the promises of the architecture, measured here and now beside their baselines."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command
from vitale_reader.cli.frame.language import t

if TYPE_CHECKING:
    from tests.benchmarks.decoder_comparison import Codes
    from tests.benchmarks.table import Measure

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
@click.option(
    "--store",
    metavar="URL",
    help=t(
        "Une base PostgreSQL vide : ce que coûte le magasin d'un site, à côté de SQLite.",
        "An empty PostgreSQL database: what the store of a site costs, beside SQLite.",
    ),
)
@click.option(
    "--floods",
    type=click.IntRange(20, 10_000),
    metavar="N",
    help=t(
        "Mesure les inondations, et rien d'autre : N appels d'un autre logiciel dans chacune.",
        "Measures floods, and nothing else: N calls of another program in each.",
    ),
)
@click.option(
    "--web",
    type=click.IntRange(20, 10_000),
    metavar="N",
    help=t(
        "Mesure le port des pages web, et rien d'autre : N appels pour chaque chiffre.",
        "Measures the port for web pages, and nothing else: N calls for each figure.",
    ),
)
@click.option(
    "--retries",
    type=click.IntRange(1, 1_000),
    metavar="N",
    help=t(
        "Mesure ce que coûtent les nouveaux essais, et rien d'autre : N lectures de chaque carte qui hésite.",
        "Measures what retries cost, and nothing else: N readings of each card that hesitates.",
    ),
)
@click.option(
    "--desks",
    is_flag=True,
    help=t(
        "Mesure doctor sur des postes en panne, et rien d'autre : durée et temps de processeur de chacun.",
        "Measures doctor on broken desks, and nothing else: time and processor time of each.",
    ),
)
@click.option(
    "--codes",
    type=click.IntRange(1, 100),
    metavar="N",
    help=t(
        "Compare les décodeurs de codes, et rien d'autre : N images de chaque difficulté et sévérité.",
        "Compares decoders of codes, and nothing else: N pictures of each difficulty and severity.",
    ),
)
@click.option(
    "--photos",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=t(
        "Avec --codes : un dossier de photographies et leur manifest.json.",
        "With --codes: a folder of photographs with its manifest.json.",
    ),
)
@click.option(
    "--wechat",
    metavar="PYTHON",
    help=t(
        "Avec --codes : un interpréteur qui a le détecteur WeChat d'OpenCV et ses modèles.",
        "With --codes: an interpreter that has OpenCV's WeChat detector and its models.",
    ),
)
@as_json
def bench(
    readings: int,
    idle: int,
    taps: int,
    store: str | None,
    floods: int | None,
    web: int | None,
    retries: int | None,
    desks: bool,
    codes: int | None,
    photos: Path | None,
    wechat: str | None,
    as_json: bool,
) -> None:
    """The command."""
    if codes is not None:
        _compare(codes, photos, wechat, as_json=as_json)
        return
    if floods is not None:
        from tests.benchmarks.floods import lines

        with output.progress(t("Mesures en cours…", "Measuring…")) as say:
            _print(lines(floods, say), as_json=as_json)
        return
    if web is not None:
        from tests.benchmarks.web import lines as lines_of_pages

        with output.progress(t("Mesures en cours…", "Measuring…")) as say:
            _print(lines_of_pages(web, idle, say), as_json=as_json)
        return
    if retries is not None:
        from tests.benchmarks.retries import lines as lines_of_retries

        with output.progress(t("Mesures en cours…", "Measuring…")) as say:
            _print(lines_of_retries(retries, idle, say), as_json=as_json)
        return
    if desks:
        from tests.benchmarks.broken_desks import lines as lines_of_desks

        with output.progress(t("Mesures en cours…", "Measuring…")) as say:
            _print(lines_of_desks(say), as_json=as_json)
        return
    from tests.benchmarks.measures import measure_all

    if store is not None:
        from vitale_reader.daemon.store.store import Store

        Store(store)  # what is no URL is told before anything is measured
    with output.progress(t("Mesures en cours…", "Measuring…")) as say:
        measures = measure_all(readings, idle, taps, store, say)
    _print(measures, as_json=as_json)


def _print(measures: "list[Measure]", *, as_json: bool) -> None:
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


def _compare(count: int, photos: Path | None, wechat: str | None, *, as_json: bool) -> None:
    from tests.benchmarks.decoder_comparison import measure_codes

    with output.progress(t("Mesures en cours…", "Measuring…")) as say:
        codes = measure_codes(count, photos, wechat, say)
    if as_json:
        output.print_json(codes)
        return
    output.table(
        (
            t("Images", "Pictures"),
            t("Décodeur", "Decoder"),
            t("Lues", "Read"),
            t("Fausses", "Wrong"),
            "ms",
            t("médiane", "median"),
            "p95",
        ),
        [
            (
                one.pictures,
                one.engine,
                f"{one.read / one.count:.1%}",
                str(one.wrong),
                f"{one.mean_ms:.1f}",
                f"{one.median_ms:.1f}",
                f"{one.p95_ms:.1f}",
            )
            for one in codes.readings
        ],
        title=t("Décodeurs, sur les mêmes images", "Decoders, on the same pictures"),
    )
    _by_kind(codes)
    output.table(
        (
            t("Décodeur", "Decoder"),
            t("Films lus", "Films read"),
            t("en 0,8 s", "in 0.8 s"),
            t("médiane", "median"),
            t("moyenne", "mean"),
        ),
        [
            (
                one.engine,
                f"{one.read}/{one.count}",
                f"{one.soon}/{one.count}",
                "" if one.median_ms is None else f"{one.median_ms:.0f} ms",
                "" if one.mean_ms is None else f"{one.mean_ms:.0f} ms",
            )
            for one in codes.films
        ],
        title=t(
            "Du code visible au code lu, 30 images par seconde", "From code visible to code read, 30 frames a second"
        ),
    )
    output.table(
        (t("Étape", "Stage"), t("Lit", "Reads"), t("Ajoute", "Adds"), "ms"),
        [(one.stage, str(one.read), str(one.added), f"{one.mean_ms:.2f}") for one in codes.stages],
        title=t("Ce que vaut chaque étape, dans l'ordre", "What each stage is worth, in their order"),
    )
    for engine, why in codes.left_out.items():
        output.note(t(f"Sans {engine} : {why}", f"Without {engine}: {why}"))


def _by_kind(codes: "Codes") -> None:
    """What ours and the best of the others read of each kind, at the size in the middle."""
    sets = [one.pictures for one in codes.readings if one.kinds and one.engine == "ours"]
    if not sets:
        return
    chosen = sets[len(sets) // 2]
    rows = {one.engine: one for one in codes.readings if one.pictures == chosen}
    ours = rows.pop("ours")
    each = ours.count // len(ours.kinds)
    best = {kind: max(rows.values(), key=lambda one: one.kinds[kind], default=ours) for kind in ours.kinds}
    output.table(
        (t("Difficulté", "Difficulty"), t("Ici", "Ours"), t("Meilleur autre", "Best other"), ""),
        [
            (kind, f"{read}/{each}", f"{best[kind].kinds[kind]}/{each}", best[kind].engine)
            for kind, read in ours.kinds.items()
        ],
        title=t(f"Par difficulté, {chosen}", f"By difficulty, {chosen}"),
    )


if __name__ == "__main__":
    bench.main(prog_name="python -m tests.benchmarks")
