"""Calls of those who administer the desk, and the one that lets a browser in."""

from functools import partial
from typing import Final

from vitale_protocol.errors import InvalidParams, InvalidRequest, NoReader
from vitale_protocol.methods import (
    ConfigSet,
    DashboardOpen,
    DeskWatched,
    Done,
    DriversRestart,
    Empty,
    LeaseReleased,
    LeasesFree,
    ReadingOnce,
    Result,
)
from vitale_reader.daemon.arbitration.actions import PATIENT_MEDIA
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.handlers.services import Answer, Handlers, RequestId, Services
from vitale_reader.daemon.issuing.issuer import Grant

__all__ = ["DashboardCalls"]

#: Seconds for which somebody who wants to look at a medium waits for it.
ONCE: Final = 60.0


class DashboardCalls:
    """Handlers of ``dashboard.open``, ``desk.*``, and of what a person does from the dashboard."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.handlers: Handlers = {
            "dashboard.open": self._dashboard_open,
            "desk.watch": self._desk_watch,
            "desk.unwatch": self._desk_unwatch,
            "desk.show": self._desk_show,
            "reading.once": self._reading_once,
            "drivers.restart": self._drivers_restart,
            "leases.free": self._leases_free,
            "audit.verify": self._audit_verify,
            "config.check": self._config_check,
            "config.set": self._config_set,
            "diagnostics.bundle": self._diagnostics_bundle,
        }

    async def _dashboard_open(self, conversation: Conversation, _id: RequestId | None, params: DashboardOpen) -> Result:
        with self._services.noted("dashboard.open", conversation.authenticated()):
            return await self._services.entrance.invite(params.at)

    def _desk_watch(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        return DeskWatched(desk=self._services.desk_view.watch(conversation))

    def _desk_unwatch(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        self._services.desk_view.unwatch(conversation)
        return Done()

    def _desk_show(self, _conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        return Done()  # the entrance has noted it

    def _reading_once(self, conversation: Conversation, request: RequestId | None, params: ReadingOnce) -> Answer:
        if request is None:
            raise InvalidRequest("a call for a reading needs an id, or it would have nowhere to go")
        self._services.require_room(conversation)
        caller = conversation.authenticated()
        # What the caller may not have by itself, a person has granted for this one reading.
        grant = Grant(client_id=caller.client_id, nonce="", scopes=tuple(dict.fromkeys(params.scopes)))
        self._services.desk.request(
            conversation,
            request,
            grant,
            media=PATIENT_MEDIA,
            readers=frozenset(),
            timeout=ONCE,
            tell=partial(conversation.reply, request),
        )
        return None

    def _drivers_restart(self, conversation: Conversation, _id: RequestId | None, params: DriversRestart) -> Answer:
        with self._services.noted("drivers.restart", conversation.authenticated()):
            if not self._services.desk.supervisor.restart(params.name):
                raise InvalidParams("no driver of this name can be restarted", data={"path": "name"})
        return Done()

    def _leases_free(self, conversation: Conversation, _id: RequestId | None, params: LeasesFree) -> Answer:
        with self._services.noted("leases.free", conversation.authenticated(), reader=params.reader):
            if all(reader.id != params.reader for reader in self._services.desk.readers):
                raise NoReader("no reader of this name")
            return LeaseReleased(released=self._services.desk.leases.free(params.reader))

    async def _audit_verify(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Result:
        with self._services.noted("audit.verify", conversation.authenticated()):
            return await self._services.diagnostics.trail(self._services.station_info(), conversation.language)

    async def _config_check(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Result:
        return await self._services.diagnostics.settings(self._services.station_info(), conversation.language)

    async def _config_set(self, conversation: Conversation, _id: RequestId | None, params: ConfigSet) -> Result:
        with self._services.noted("config.set", conversation.authenticated()):
            if params.confirmed != params.key:
                raise InvalidParams("the key was not typed once more", data={"path": "confirmed"})
            return await self._services.diagnostics.change(
                self._services.station_info(), params.key, params.value, conversation.language
            )

    async def _diagnostics_bundle(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Result:
        services = self._services
        with services.noted("diagnostics.bundle", conversation.authenticated()):
            return await services.diagnostics.bundle(
                services.station_info(), services.desk.readers, conversation.language
            )
