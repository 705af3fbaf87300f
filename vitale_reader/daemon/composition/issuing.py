"""Issuing: what makes tokens of presentations, and keeps them."""

import random
import secrets
import time
from contextlib import AsyncExitStack

import msgspec

from vitale_reader.daemon import lifecycle
from vitale_reader.daemon.composition.station import OpenStation
from vitale_reader.daemon.config import Config
from vitale_reader.daemon.conversation import Conversations
from vitale_reader.daemon.issuing.apcv_profiles import Profiles, read_profiles
from vitale_reader.daemon.issuing.contexts import Contexts
from vitale_reader.daemon.issuing.delivery import Delivery
from vitale_reader.daemon.issuing.issuer import Issuer
from vitale_reader.daemon.issuing.opposition import Opposition
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.issuing.replay import ReplayGuard
from vitale_reader.daemon.issuing.trusted_signers import read_trust_list
from vitale_reader.daemon.observation.events import Observe
from vitale_reader.resolvers.guarded import GuardedResolver
from vitale_reader.resolvers.registry import load_resolver

__all__ = ["Issuing", "open_issuing"]

#: Seconds of the daemon's end for a resolver to be closed.
RESOLVER = 0.2


class Issuing(msgspec.Struct, frozen=True, kw_only=True):
    """Parts that make tokens of presentations, and keep them."""

    profiles: Profiles
    resolver: GuardedResolver
    outbox: Outbox
    guard: ReplayGuard
    contexts: Contexts
    opposition: Opposition
    delivery: Delivery


async def open_issuing(
    stack: AsyncExitStack,
    station: OpenStation,
    conversations: Conversations,
    observe: Observe,
    ending: lifecycle.Ending,
) -> Issuing:
    """Opens what makes tokens of presentations, the resolver among it."""
    config, store, vault = station.config, station.store, station.vault
    profiles = read_profiles(config.apcv.profiles, config.station.mode, config.apcv.formats)
    issuer = Issuer(
        station.keys,
        mode=config.station.mode,
        lifetime=config.tokens.lifetime,
        clock=station.clock.right,
        random_bytes=secrets.token_bytes,
        profile_origins=profiles.origins,
        trust=read_trust_list(config.seals.trust_list),
    )
    resolver = await _open_resolver(stack, config, ending)
    outbox = Outbox(store, vault, station.chain, clock=station.clock)
    guard = ReplayGuard(store, vault, days=config.apcv.replay_days, printed=config.seals.once, clock=station.clock)
    contexts = Contexts(
        store,
        vault,
        resolver,
        station=station.keys.station,
        mode=config.station.mode,
        notify=conversations.context_expiring,
        clock=station.clock,
    )
    await contexts.open()
    opposition = Opposition(store, vault, remembered=station.remembered)
    delivery = Delivery(
        issuer,
        outbox,
        station.notes,
        guard,
        resolver,
        contexts,
        opposition,
        clock=station.clock.now,
        observe=observe,
    )
    return Issuing(
        profiles=profiles,
        resolver=resolver,
        outbox=outbox,
        guard=guard,
        contexts=contexts,
        opposition=opposition,
        delivery=delivery,
    )


async def _open_resolver(stack: AsyncExitStack, config: Config, ending: lifecycle.Ending) -> GuardedResolver:
    resolver = load_resolver(config.apcv.resolver)(config.apcv.options, config.station.mode)
    await resolver.open()
    stack.push_async_callback(ending.stage, "resolver", resolver.close, RESOLVER)
    # Jitter needs no secret randomness.
    return GuardedResolver(resolver, limit=config.apcv.timeout, random=random.random, clock=time.monotonic)
