"""The SDK's own parts; programs import ``vitale_reader`` and ``vitale_reader.aio``."""
