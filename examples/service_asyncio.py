"""A service, with the asyncio SDK: it reads cards while it follows the readers that come and go.

It hands each token to a verifier of its own. A back office that receives tokens from many counters would do the same.
"""

import argparse
import asyncio
import secrets
from contextlib import aclosing

import vitale_reader
from vitale_reader.errors import PresentationTimeout


async def follow(reader: vitale_reader.aio.Connection) -> None:
    async with aclosing(reader.watch()) as changes:
        async for change in changes:
            print(f"{change.kind}: {change.reader.name}: {change.reader.state}")


async def serve(reader: vitale_reader.aio.Connection, count: int) -> None:
    # Keys and audience come from the pairing of counter and back office, long before any token.
    jwks = await reader.keys()
    audience = (await reader.session()).client_id
    served = 0
    while served < count:
        nonce = secrets.token_urlsafe(24)  # the back office's challenge: a token answers it, and no other
        try:
            found = await reader.read(scopes=["identity"], nonce=nonce, timeout=600)
        except PresentationTimeout:
            continue
        claims = vitale_reader.verify(found.token, jwks=jwks, audience=audience, nonce=nonce)
        holder = found.holder
        print(f"{holder.nom_usuel} {holder.prenom}" if holder else "unknown holder")
        authentic = "authenticated" if claims.proof.verified else "not authenticated"
        print(f"  token verified; reading {authentic} ({claims.proof.method}), origin {claims.origin}")
        served += 1
        if served < count:
            await reader.wait_until_empty(claims.reader.id)


async def main() -> None:
    parser = argparse.ArgumentParser(description="An asyncio service.")
    parser.add_argument("--count", type=int, default=1_000_000, help="end after so many cards")
    count: int = parser.parse_args().count
    async with vitale_reader.aio.connect(name="service", language="en") as reader, asyncio.TaskGroup() as tasks:
        following = tasks.create_task(follow(reader))
        await serve(reader, count)
        following.cancel()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print()
    except vitale_reader.VitaleError as error:
        raise SystemExit(str(error)) from error
