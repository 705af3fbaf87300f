"""``vitale-reader demo``: a daemon of its own, simulated cards, phones and codes, checks and times."""

import click

from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command
from vitale_reader.cli.frame.exit_status import OTHER
from vitale_reader.cli.frame.language import t

__all__ = ["demo"]


@command(
    "demo",
    help=t(
        "Démonstration complète : carte, téléphone et code QR simulés, service à part, lectures, jetons vérifiés.",
        "Shows everything: simulated card, phone and QR code, a daemon of its own, readings, verified tokens.",
    ),
    extra="all",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help=t("Lectures de chaque support, pour la médiane.", "Readings of each medium, for the median."),
)
@click.option(
    "--no-pcscd",
    is_flag=True,
    help=t("Se passe de pcscd, même s’il est installé.", "Does without pcscd, even where it is installed."),
)
@click.option(
    "--dashboard",
    "stays",
    is_flag=True,
    help=t(
        "Ne lit rien de lui-même : reste, et ouvre le tableau de bord, d’où tout se joue à la souris.",
        "Reads nothing by itself: stays, and opens the dashboard, from which everything is played with the mouse.",
    ),
)
@click.option(
    "--print",
    "only_print",
    is_flag=True,
    help=t(
        "Avec --dashboard\N{NO-BREAK SPACE}: n’ouvre pas de navigateur, affiche l’adresse et le code.",
        "With --dashboard: opens no browser, prints the address and the code.",
    ),
)
@click.option(
    "--ip",
    is_flag=True,
    help=t(
        "Avec --dashboard\N{NO-BREAK SPACE}: passe par 127.0.0.1 plutôt que par un nom.",
        "With --dashboard: goes by 127.0.0.1 and not by a name.",
    ),
)
@as_json
def demo(repeat: int, no_pcscd: bool, stays: bool, only_print: bool, ip: bool, as_json: bool) -> None:
    """Runs the command ``vitale-reader demo``."""
    if (only_print or ip) and not stays:
        raise click.UsageError(t("--print et --ip vont avec --dashboard.", "--print and --ip go with --dashboard."))
    import asyncio
    from contextlib import ExitStack, nullcontext

    from vitale_reader.cli.demo import show as demo_show
    from vitale_reader.cli.demo.environment import PAGES, demo_environment
    from vitale_reader.cli.demo.play import play, sound

    with ExitStack() as stack:
        starting = t("Les lecteurs simulés et le service démarrent…", "The simulated readers and the daemon start…")
        with nullcontext() if as_json else output.progress(starting):
            environment = stack.enter_context(
                demo_environment(
                    simulated_driver=no_pcscd, phones=True, codes=True, configuration=PAGES if stays else ""
                )
            )
        if stays:
            from vitale_reader.cli.demo.stay import stay

            stay(environment, only_print=only_print, ip=ip, as_json=as_json)
            return
        if not as_json:
            demo_show.opening(environment)
        results = asyncio.run(play(environment, repeat, (lambda _: None) if as_json else demo_show.result))
    if as_json:
        demo_show.as_json(environment, results)
    else:
        demo_show.closing(results)
    if not sound(results):
        click.get_current_context().exit(OTHER)
