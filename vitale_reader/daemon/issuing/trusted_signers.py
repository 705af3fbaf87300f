"""The signers of seals that a site trusts: the files of ``[seals]``, read and checked at start."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.regular_files import open_regular

if TYPE_CHECKING:
    from vitale_protocol.media.two_d_doc.trust import TrustList

__all__ = ["read_trust_list"]

logger = logging.getLogger(__name__)

#: Bytes of one file. The list of all authorities has some 100 KB.
MOST_BYTES = 8_388_608

PLACE = "seals.trust_list"


def read_trust_list(files: Sequence[str]) -> "TrustList | None":
    """Reads the trust list of a site; None where it has none.

    Args:
        files: paths of trusted lists in XML, and of certificates in PEM or DER.

    Raises:
        ConfigurationInvalid: a file cannot be read or used; ``data.file`` names it.
    """
    if not files:
        return None
    from vitale_protocol.media.two_d_doc.trust import parse_trust_list  # noqa: PLC0415  lxml and x509

    documents = [_content(file) for file in files]
    try:
        trust = parse_trust_list(*documents)
    except ConfigurationInvalid as error:
        number = error.data.get("document")
        raise _invalid(error.detail, files[number] if isinstance(number, int) else "") from error
    for signer in trust.untrusted():
        logger.warning(
            "no authority of the trust list issued a certificate of the signer %s %s: it is not believed",
            signer.authority,
            signer.certificate,
        )
    return trust


def _content(file: str) -> bytes:
    try:
        with open_regular(Path(file)) as stream:
            content = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # a path with a NUL in it
        raise _invalid("the file cannot be read", file) from error
    if len(content) > MOST_BYTES:
        raise _invalid("the file is too large", file)
    return content


def _invalid(detail: str, file: str) -> ConfigurationInvalid:
    return ConfigurationInvalid(f"{PLACE}, {file}: {detail}", data={"path": PLACE, "file": file})
