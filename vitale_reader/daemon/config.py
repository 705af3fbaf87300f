"""The settings of a station: ``config.toml``, checked once, at the edge.

A setting that is not known is refused, so that a misspelt one cannot be silently without effect.
"""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast, dataclass_transform

import msgspec

from vitale_protocol.configuration.settings import convert_settings
from vitale_protocol.errors import ConfigurationInvalid, JsonValue
from vitale_protocol.methods import StationMode
from vitale_protocol.web.extensions import CHROMIUM_ID, FIREFOX_ID, ID_PATTERN
from vitale_reader.daemon import config_file
from vitale_reader.daemon.config_file import command_to_close, line_of, readable_by_others
from vitale_reader.daemon.secret_settings import masked, masked_values

__all__ = [
    "ApcvSection",
    "AuditExportSection",
    "Config",
    "DriversSection",
    "ExtensionSection",
    "LogSection",
    "MetricsSection",
    "SealsSection",
    "Section",
    "SiteSection",
    "StationKeysSection",
    "StationSection",
    "TlsSection",
    "TokensSection",
    "TracesSection",
    "UnixSection",
    "WebSection",
    "command_to_close",
    "has_secrets",
    "load",
    "located",
    "named_devices",
    "numbered_devices",
    "parse",
    "readable_by_others",
    "shown",
]

#: Names with a number in them, of what is plugged in or opened in turns; the mainboard's ports keep theirs.
_NUMBERED = re.compile(r"/dev/(?:pts/|ttys|tty(?:USB|ACM)|cu\.usbmodem|video)\d+|tty:(?:USB|ACM)\d+(?::.*)?")

#: A path of Windows in double quotes, where TOML takes each backslash for the beginning of an escape.
_WINDOWS_PATH = re.compile(r'"(?:[^"#]*[A-Za-z]:|\\)\\[^"\\]')

# A password in it would stand in the log.
Collector = Annotated[
    str,
    msgspec.Meta(
        max_length=1_000,
        pattern=r"^(https://[^\s@]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?/[^\s@]*)(?![\s\S])",
    ),
]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
# Control characters, ends of lines, and marks that turn the direction of what is written around the name.
_ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+(?![\s\S])"
Group = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,50}(?![\s\S])")]


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class StationSection(Section):
    """``[station]``: what this installation is.

    Attributes:
        name: shown to clients; free text, without control characters.
        mode: ``production`` refuses whatever is simulated; only ``simulated`` issues tokens from simulated devices.
        groups: names under which the desks of a site ask for the readers of this one, as ``group:NAME``.
        language: of the commands at this desk, ``fr`` or ``en``; that of the system where it is left out.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=_ONE_LINE)] = "vitale-reader"
    mode: StationMode = "production"
    groups: Annotated[tuple[Group, ...], msgspec.Meta(max_length=50)] = ()
    language: Literal["fr", "en"] | None = None


class UnixSection(Section):
    """``[unix]``: the socket for programs of this machine.

    Attributes:
        enabled: whether to listen.
        users: names of other users of this machine that may connect; they hold the scopes of their pairing only.
    """

    enabled: bool = True
    users: tuple[str, ...] = ()


class TlsSection(Section):
    """``[tls]``: the TLS 1.3 transport, with client certificates made at pairing.

    Attributes:
        enabled: whether to listen.
        host: a loopback address, unless ``lan`` says otherwise.
        port: 0 for any free port.
        lan: set to true to allow an address that other machines reach.
    """

    enabled: bool = True
    host: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] = "127.0.0.1"
    port: Port = 7816
    lan: bool = False


class ExtensionSection(Section):
    """``[web.extension]``: the extensions of browsers that may carry pages here, by native messaging.

    Attributes:
        ids: of Chromium's kind (32 letters) and of Firefox's. Those of this project's own extension by default; an
            empty list keeps all extensions out. ``vitale-reader browser install`` tells them to the browsers.
    """

    ids: Annotated[tuple[Annotated[str, msgspec.Meta(pattern=ID_PATTERN)], ...], msgspec.Meta(max_length=20)] = (
        CHROMIUM_ID,
        FIREFOX_ID,
    )


class WebSection(Section):
    """``[web]``: pages of web software, each paired by a person at this desk.

    Attributes:
        enabled: whether a page can reach this desk at all.
        port: of the gateway, on both loopback addresses; pages look for the default one.
        extension: the extensions of browsers that may carry pages.
    """

    enabled: bool = False
    port: Port = 7817
    extension: ExtensionSection = ExtensionSection()


class MetricsSection(Section):
    """``[metrics]``: figures of this desk for Prometheus; none of them identifies anybody.

    Attributes:
        enabled: whether a scraper finds them, at ``http://127.0.0.1:PORT/metrics``.
        port: of the exporter, on both loopback addresses; 0 for any free port.
        bearer_file: absolute path of the file with the secret that a scraper shows; ``state/metrics.bearer`` by
            default. It is made with mode 0640 where there is none. A scraper of another user needs it outside of the
            state folder.
    """

    enabled: bool = False
    port: Port = 7818
    bearer_file: Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)] | None = None


class TracesSection(Section):
    """``[traces]``: each presentation and its stages as spans for a collector of OpenTelemetry; no personal data.

    Attributes:
        enabled: whether spans are sent.
        endpoint: of the collector, OTLP over HTTP: on this machine, or by HTTPS.
    """

    enabled: bool = False
    endpoint: Collector = "http://127.0.0.1:4318/v1/traces"


class TokensSection(Section):
    """``[tokens]``: the life of tokens and keys.

    Attributes:
        lifetime: seconds from issue to expiry.
        key_overlap: seconds for which a rotated key still verifies.
    """

    lifetime: Annotated[int, msgspec.Meta(ge=10, le=600)] = 120
    key_overlap: Annotated[int, msgspec.Meta(ge=600, le=2_592_000)] = 86_400


class LimitsSection(Section):
    """``[limits]``: what one client may take of the daemon.

    Attributes:
        sessions: open sessions of one client, or of one program of the daemon's own user.
        requests: waiting requests of one session.
        open_seconds: time to finish opening a session.
        send_buffer_bytes: what may wait to be read by a client before it is cut off.
    """

    sessions: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 64
    requests: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 32
    open_seconds: Annotated[int, msgspec.Meta(ge=1, le=600)] = 10
    send_buffer_bytes: Annotated[int, msgspec.Meta(ge=65_536, le=67_108_864)] = 4_194_304


class LogSection(Section):
    """``[log]``: what the daemon writes to its standard error; never personal data.

    Attributes:
        level: the least level that is written.
        file: whether the newest lines are also kept in ``state/daemon.log``, three megabytes at most.
            ``doctor --bundle`` takes them from there. Always so where there is no standard error, as for a task at
            logon.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    file: bool = True


class DriversSection(Section):
    """``[drivers]``: which drivers run, and their options.

    Attributes:
        enabled: names of drivers: ``pcsc``, ``nfc``, ``camera``, ``scanner``, ``simulated-card``, or that of a plug-in.
        options: a table a driver, ``[drivers.options.pcsc]``; each driver checks its own.
    """

    enabled: tuple[str, ...] = ("pcsc",)
    options: dict[str, dict[str, object]] = {}


class ApcvSection(Section):
    """``[apcv]``: the carte Vitale as an application of a phone.

    Attributes:
        profiles: how to read a string from a phone over NFC: paths of profile files, or ``simulator``.
        formats: published formats that the strings of real codes have, such as ``xml`` or ``json``; the licence tells
            them. Codes of any published format are refused as no apCV's without this.
        resolver: what turns a string into a context: ``none``, ``apcv-soap``, or the name of a plug-in.
        options: a table for the resolver, ``[apcv.options]``; each resolver checks its own.
        timeout: seconds that a resolver has for one call, retries included.
        replay_days: days for which a string that was used is known again.
    """

    profiles: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)], ...] = ()
    formats: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=100)], ...] = ()
    resolver: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] = "none"
    options: dict[str, object] = {}
    timeout: Annotated[float, msgspec.Meta(ge=0.1, le=120)] = 10.0
    replay_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] = 30


class SealsSection(Section):
    """``[seals]``: whose signatures on printed codes (2D-Doc) this site believes.

    Attributes:
        trust_list: paths of files: the trusted list of the ANTS in XML, certificates of signers in PEM or DER. Without
            any, a seal proves nothing here. Read at start.
        once: set to true to let each printed code (2D-Doc, INS Datamatrix) count once within ``apcv.replay_days``. This
            holds at every desk of the site. Such codes are on paper that patients show again and again, and rightly so.
    """

    trust_list: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)], ...] = ()
    once: bool = False


class AuditExportSection(Section):
    """``[audit]``: where the ends of the audit trail are taken, off this machine.

    Attributes:
        export: absolute paths of files on other disks, ``syslog`` (of this machine), ``syslog:HOST:PORT`` (UDP), names
            of plug-ins. At the start, the stop and every ten minutes, each gets a line with the trail's end.
        options: a table a plug-in, ``[audit.options.NAME]``; each plug-in checks its own.
    """

    export: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)], ...], msgspec.Meta(max_length=10)
    ] = ()
    options: dict[str, dict[str, object]] = {}


class StationKeysSection(Section):
    """``[keys]``: where the station's secrets are.

    Attributes:
        keyring: set to true to protect ``state/station.json`` with a key held by the operating system's keyring.
            Otherwise its mode (0600) alone protects it. Needs the extra ``[keyring]``, and a keyring that is open at
            start.
    """

    keyring: bool = False


class SiteSection(Section):
    """``[site]``: several desks on one PostgreSQL.

    Attributes:
        key_file: the file of the key that all the desks share (0600); ``state/site.key`` by default. It is made at the
            first desk and copied to the others. What is in the database can be read with it only.
        when_away: what happens to apCVs while the database does not answer. ``strict`` refuses them, since another desk
            may have taken the same string; ``degraded`` takes them. Cards and printed codes go on in both. They are
            kept at the station until the database is back, with the warning ``store_degraded``.
        tls: ``verify-full`` requires that every line to the database is encrypted and its server checked. A line that
            stays on this machine is exempt. ``none: …`` with a reason in plain words (ten characters or more) allows an
            unchecked line. An example is ``none: this line is inside the building's tunnel``.
    """

    key_file: Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)] | None = None
    when_away: Literal["strict", "degraded"] = "strict"
    tls: Annotated[str, msgspec.Meta(pattern=r"^(verify-full|none: *\S[^\r\n]{8,198}\S)(?![\s\S])")] = "verify-full"


class Config(Section):
    """The whole file; every table and every setting may be left out.

    Attributes:
        store: ``sqlite`` keeps the state in ``state/store.db``. ``postgresql://user@host/database`` keeps it in the
            database that the desks of a site share.
        audit_days: days for which the audit trail is kept.
    """

    station: StationSection = StationSection()
    unix: UnixSection = UnixSection()
    tls: TlsSection = TlsSection()
    web: WebSection = WebSection()
    metrics: MetricsSection = MetricsSection()
    traces: TracesSection = TracesSection()
    tokens: TokensSection = TokensSection()
    limits: LimitsSection = LimitsSection()
    log: LogSection = LogSection()
    drivers: DriversSection = DriversSection()
    apcv: ApcvSection = ApcvSection()
    seals: SealsSection = SealsSection()
    audit: AuditExportSection = AuditExportSection()
    keys: StationKeysSection = StationKeysSection()
    site: SiteSection = SiteSection()
    store: Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)] = "sqlite"
    audit_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] = 365

    def __post_init__(self) -> None:
        """Refuses a store that is neither, without repeating what may hold a password."""
        if self.store != "sqlite" and not self.store.startswith(("postgresql://", "postgresql+psycopg://")):
            raise ValueError("store: neither sqlite nor a URL postgresql://…")

    def __repr__(self) -> str:
        """For logs and failing tests."""
        return f"Config({shown(self)})"


def shown(config: Config) -> dict[str, Any]:
    """The settings as plain values, fit to be shown: every secret in them is masked (see ``secret_settings``)."""
    settings = _plain(config)
    for name, table in settings.items():
        # Outside the options of drivers and plug-ins the names are ours, and none of them is one of a secret.
        settings[name] = masked_values(table)
        if isinstance(table, dict) and "options" in table:
            settings[name]["options"] = masked(table["options"])
    return settings


def named_devices(config: Config, driver: str) -> tuple[str, ...]:
    """The devices that the options of a driver name, as they are written there."""
    devices = config.drivers.options.get(driver, {}).get("devices")
    named = cast("Sequence[object]", devices) if isinstance(devices, list | tuple) else ()
    return tuple(text for text in named if isinstance(text, str))


def numbered_devices(config: Config) -> dict[str, str]:
    """Devices named by a number that the system may later give to others, each with its driver."""
    found: dict[str, str] = {}
    for driver in config.drivers.enabled:
        for value in config.drivers.options.get(driver, {}).values():
            named = cast("Sequence[object]", value) if isinstance(value, list | tuple) else (value,)
            found.update({text: driver for text in named if isinstance(text, str) and _NUMBERED.fullmatch(text)})
    return found


def has_secrets(config: Config) -> bool:
    """True if something in the settings is masked when they are shown."""
    return shown(config) != _plain(config)


def _plain(config: Config) -> dict[str, Any]:
    """As JSON has them: lists are lists."""
    return dict(msgspec.json.decode(msgspec.json.encode(config)))


def parse(text: str, *, source: str = "config.toml") -> Config:
    """The settings in a TOML text.

    Raises:
        ConfigurationInvalid: with the place of the first fault.
    """
    try:
        return convert_settings(tomllib.loads(text), Config)
    except RecursionError as error:
        raise ConfigurationInvalid("nested too deep", data={"file": source, "path": "$"}) from error
    except tomllib.TOMLDecodeError as error:
        where: dict[str, JsonValue] = {"file": source, "path": "$"}
        if (line := line_of(text, str(error))) is not None:
            where["line"] = line
        wrong = text if line is None else text.split("\n")[line - 1]
        variant = "backslash" if _WINDOWS_PATH.search(wrong) else "syntax"
        raise ConfigurationInvalid(str(error), variant=variant, data=where) from error
    except ConfigurationInvalid as error:
        raise _with_line(in_file(error, source), text) from error


def in_file(error: ConfigurationInvalid, source: str) -> ConfigurationInvalid:
    """The same error, with the file in which the mistake stands."""
    return ConfigurationInvalid(error.detail, variant=error.variant, data={"file": source, **error.data})


def located(error: ConfigurationInvalid, file: Path) -> ConfigurationInvalid:
    """The same error, with the file and the line of the mistake, as far as they can be found."""
    try:
        text = config_file.decoded(config_file.read(file)[0], file)
    except (FileNotFoundError, ConfigurationInvalid):
        return in_file(error, str(file))
    return _with_line(in_file(error, str(file)), text)


def _with_line(error: ConfigurationInvalid, text: str) -> ConfigurationInvalid:
    line = line_of(text, str(error.data.get("path", "")))
    return (
        error
        if line is None
        else ConfigurationInvalid(error.detail, variant=error.variant, data={"line": line, **error.data})
    )


def load(file: Path) -> Config:
    """The settings in a file; the defaults where there is none.

    Raises:
        ConfigurationInvalid: the file cannot be read or used, or others may change it, or read the secrets in it.
    """
    try:
        content, access = config_file.read(file)
    except FileNotFoundError:
        return Config()
    config = parse(config_file.decoded(content, file), source=str(file))
    access.require(secrets=has_secrets(config))
    return config
