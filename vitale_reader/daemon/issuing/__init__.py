"""From a presentation to a signed token in its client's hands.

For other rooms: ``base64_text``, ``contexts``, ``delivery``, ``issuer``, ``opposition``, ``outbox``, ``apcv_profiles``,
``replay``, ``submission``, ``trusted_signers``.
"""
