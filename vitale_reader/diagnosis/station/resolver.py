"""The service behind apCVs: whether it can be reached from here; nothing of a patient is sent to it."""

import asyncio
from collections.abc import Iterator

from vitale_protocol.diagnosis.check_results import CheckResult, of_error
from vitale_protocol.errors import ConfigurationInvalid, ResolverUnavailable, ToolMissing, VitaleError
from vitale_protocol.extras import missing_part
from vitale_reader.daemon.config import Config

__all__ = ["look"]

#: Seconds for the service to answer; whoever runs ``doctor`` waits for it.
LIMIT = 2.5


def look(config: Config) -> Iterator[CheckResult]:
    """Looks at the service that the configuration names, if there is one."""
    if config.apcv.resolver == "none" or missing_part("daemon", "the daemon") is not None:
        return
    from vitale_reader.resolvers.registry import load_resolver  # noqa: PLC0415  part of an extra

    async def probe() -> str:
        resolver = load_resolver(config.apcv.resolver)(config.apcv.options, config.station.mode)
        await resolver.open()
        try:
            async with asyncio.timeout(LIMIT):
                return await resolver.probe()
        except TimeoutError as error:
            raise ResolverUnavailable(f"no answer in {LIMIT:g} s") from error
        finally:
            await resolver.close()

    try:
        host = asyncio.run(probe())
    except (ConfigurationInvalid, ToolMissing):
        return  # told by the check of the configuration
    except VitaleError as error:
        yield of_error(error, "resolver", {"name": config.apcv.resolver})
    else:
        if host:
            values = {"name": config.apcv.resolver, "host": host}
            yield CheckResult(id="resolver_reached", subject="resolver", state="ok", values=values)
