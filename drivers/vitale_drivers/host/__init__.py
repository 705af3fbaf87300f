"""The process that one driver runs in: worker, pipe, confinement, redaction of its log.

For other rooms: ``attendance``, ``confinement``, ``handover``, ``inspection``, ``pipe``, ``programs``, ``redaction``,
``worker``, ``worker_process``.
"""
