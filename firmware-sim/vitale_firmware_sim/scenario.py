"""A scenario: the simulated phones, whose they are, and how the simulated service behaves, read from TOML.

Persons and their rights use the words of the uniform record (``assure``, ``beneficiaires`` with ``droits_amo``,
``couvertures``, ``mutuelle``, ``amc``). The first beneficiary owns the phone, the others are dependants. All persons of
the shipped scenarios are invented. A phone and a service started apart understand one another by the same file.
"""

from typing import Annotated, Any, Literal, cast, get_args

import msgspec

from vitale_firmware_sim.shipped import Shipped
from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.records import Assure, Beneficiaire, Record

__all__ = [
    "BEHAVIOURS",
    "DEFAULT_SCENARIO",
    "Behaviour",
    "Delegation",
    "PhoneSettings",
    "Scenario",
    "ServiceSettings",
    "load_scenario",
    "parse_scenario",
    "scenario_names",
]

DEFAULT_SCENARIO = "famille"

Behaviour = Literal[
    "normal",
    "slow",
    "down",
    "closed",
    "silent",
    "garbage",
    "html",
    "truncated",
    "billion-laughs",
    "external-entity",
    "huge",
    "empty-context",
    "unidentified",
    "refusing",
    "past-context",
]
BEHAVIOURS: tuple[Behaviour, ...] = get_args(Behaviour)
"""See the table of ``service.py``."""

_SHIPPED = Shipped("scenarios", "the scenario")

_Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}\Z")]
_Code = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}\Z")]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class Delegation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Delegation from the phone's owner to another phone of the scenario, for so many hours from the start."""

    to: _Id
    hours: Annotated[float, msgspec.Meta(gt=0, le=24 * 31)] = 24.0


class PhoneSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A phone.

    Attributes:
        id: its name in the scenario.
        state: ``new`` is to be enrolled; ``active`` is enrolled and activated, with its screen locked.
        code: the code of an active phone.
        biometrics: whether its owner uses them.
        account: whether its owner has an account of their own at the health insurance.
        email_code: the code that the health insurance sent by e-mail, to the address of its owner's account.
        standing: what the service says of it; ``good`` is all that lets a string resolve.
        rights_age_hours: how old the rights are that the service gives.
        assure: the insured person.
        beneficiaires: the owner of the phone, then the dependants.
        delegations: to whom the owner delegates.
    """

    id: _Id
    state: Literal["new", "active"] = "active"
    code: _Code = "1597"
    biometrics: bool = True
    account: bool = True
    email_code: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6}\Z")] = "204816"
    standing: Literal["good", "expired", "revoked", "suspended"] = "good"
    rights_age_hours: Annotated[float, msgspec.Meta(ge=0, le=24 * 366)] = 0.0
    assure: Assure
    beneficiaires: Annotated[tuple[Beneficiaire, ...], msgspec.Meta(min_length=1, max_length=30)]
    delegations: Annotated[tuple[Delegation, ...], msgspec.Meta(max_length=8)] = ()

    @property
    def owner(self) -> Beneficiaire:
        """Owner of the phone."""
        return self.beneficiaires[0]

    def record(self, porteur: int = 0) -> Record:
        """The uniform record, with one of the beneficiaries as the holder."""
        return Record(assure=self.assure, beneficiaires=self.beneficiaires, porteur=porteur)


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The service: its behaviour, the lives of a string and a context, and its delay.

    All times are in seconds; the delay is that of ``slow``.
    """

    behaviour: Behaviour = "normal"
    delay: _Seconds = 5.0
    string_life: _Seconds = 60.0
    context_life: _Seconds = 1800.0


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scenario; ``name`` is that of the file without its suffix, ``secret`` what its strings are sealed with."""

    name: str = ""
    description: str = ""
    secret: Annotated[str, msgspec.Meta(min_length=8, max_length=200)]
    phones: Annotated[tuple[PhoneSettings, ...], msgspec.Meta(min_length=1, max_length=50)]
    service: ServiceSettings = ServiceSettings()

    def phone(self, phone_id: str) -> PhoneSettings:
        """The settings of a phone.

        Raises:
            ConfigurationInvalid: the scenario has none of this id.
        """
        for one in self.phones:
            if one.id == phone_id:
                return one
        known = ", ".join(one.id for one in self.phones)
        raise ConfigurationInvalid(f"no such phone in the scenario; there are {known}", data={"file": self.name})


def scenario_names() -> tuple[str, ...]:
    """The names of the scenarios shipped here, in order."""
    return _SHIPPED.names()


def load_scenario(name: str = DEFAULT_SCENARIO) -> Scenario:
    """Loads a scenario.

    Args:
        name: the name of a shipped one, or the path of a file, which ends in ``.toml``.

    Raises:
        ConfigurationInvalid: no such scenario, or it cannot be used; ``data`` has ``file`` and, where known, ``path``.
    """
    return parse_scenario(*_SHIPPED.read(name))


def parse_scenario(name: str, content: bytes) -> Scenario:
    """Reads a scenario from its TOML.

    Args:
        name: what to call it.
        content: the TOML, in UTF-8.

    Raises:
        ConfigurationInvalid: it is not a scenario; ``data.path`` says where.
    """
    _SHIPPED.require_short(name, content)
    try:
        raw = cast("dict[str, Any]", msgspec.toml.decode(content))
        scenario = msgspec.structs.replace(msgspec.convert(raw, Scenario), name=name)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at ")
        raise _invalid(name, reason, path.strip("`") or "$") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationInvalid("the scenario is not TOML in UTF-8", data={"file": name}) from error
    _check(scenario, raw)
    return scenario


def _check(scenario: Scenario, raw: dict[str, Any]) -> None:
    """Checks the scenario beyond its shapes."""
    ids = [phone.id for phone in scenario.phones]
    for at, phone in enumerate(scenario.phones):
        place = f"$.phones[{at}]"
        if phone.id in ids[:at]:
            raise _invalid(scenario.name, "this id is there already", f"{place}.id")
        for number, delegation in enumerate(phone.delegations):
            if delegation.to not in ids or delegation.to == phone.id:
                raise _invalid(scenario.name, "no other phone has this id", f"{place}.delegations[{number}].to")
        # The parts of the record take what newer versions may add; a hand-written word is more often misspelt.
        for member in ("assure", "beneficiaires"):
            if msgspec.json.decode(msgspec.json.encode(getattr(phone, member))) != raw["phones"][at][member]:
                raise _invalid(scenario.name, "a member is not in the uniform record", f"{place}.{member}")


def _invalid(name: str, reason: str, path: str) -> ConfigurationInvalid:
    return ConfigurationInvalid(f"the scenario is not valid at {path}: {reason}", data={"file": name, "path": path})
