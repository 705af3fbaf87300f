"""``vitale-reader demo --dashboard``: stays until Ctrl-C, and has everything played with the mouse."""

import asyncio

from vitale_reader.cli.dashboard import as_document, let_in, tell
from vitale_reader.cli.demo.environment import DemoEnvironment
from vitale_reader.cli.demo.show import program
from vitale_reader.cli.demo.simulator_controls import SimulatorControls, places_of, played
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import daemon_settings
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.frame.signals import until_interrupted

__all__ = ["stay"]


def stay(environment: DemoEnvironment, *, only_print: bool, ip: bool, as_json: bool) -> None:
    """Holds the simulators for the dashboard of a demonstration, until Ctrl-C.

    Args:
        environment: the demonstration.
        only_print: opens no browser.
        ip: by the address of this machine, and not by a name.
        as_json: tells the way in as one line of JSON.

    Raises:
        DaemonUnreachable: its daemon has ended.
        DashboardUnavailable: no browser reaches it.
    """
    controls = SimulatorControls(places_of(environment))

    def told() -> None:
        opened, shown = let_in(environment.home, only_print=only_print, ip=ip)
        if as_json:
            web = environment.endpoints.web
            document = as_document(opened, shown=shown) | {
                "home": str(environment.home),
                "web_port": None if web is None else web.port,
            }
            output.print_json(document, pretty=False)
            return
        tell(opened, shown=shown)
        _explain(environment)

    async def stayed() -> None:
        ready = asyncio.Event()
        playing = asyncio.create_task(played(daemon_settings(environment.home, None, None), controls, ready.set))
        waiting = asyncio.create_task(ready.wait())
        try:
            await asyncio.wait((playing, waiting), return_when=asyncio.FIRST_COMPLETED)
            if ready.is_set():
                await asyncio.to_thread(told)
            await playing
        finally:
            waiting.cancel()
            playing.cancel()
            await asyncio.gather(playing, waiting, return_exceptions=True)

    with until_interrupted():
        asyncio.run(stayed())


def _explain(environment: DemoEnvironment) -> None:
    output.note("")
    output.note(
        t(
            "La vue « Simulateurs » insère la carte, pose le téléphone, montre le code. Ctrl-C arrête tout.",
            "The view “Simulators” inserts the card, lays the phone, shows the code. Ctrl-C ends it all.",
        )
    )
    output.note(t("Pour un jeton, dans un autre terminal\N{NO-BREAK SPACE}:", "For a token, in another terminal:"))
    output.note(f"  export VITALE_READER_HOME={environment.home}")
    output.note(f"  {program()} read")
    output.note(
        t(
            f"Votre logiciel y lit de même\N{NO-BREAK SPACE}; `{program()} dashboard` y rouvre le tableau de bord.",
            f"Your program reads there likewise; `{program()} dashboard` opens the dashboard again there.",
        )
    )
    if (web := environment.endpoints.web) is not None:
        output.note(
            t(
                f"Une page web de cette machine passe par le port {web.port}\N{NO-BREAK SPACE}; la vue « Logiciels » "
                "l’appaire.",
                f"A web page of this machine comes by port {web.port}; the view “Software” pairs it.",
            )
        )
