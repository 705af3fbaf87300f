"""Fair shares of the daemon's time, of its store and of its places: nobody slows another.

For other rooms: ``fair_store``, ``audit_queue``, ``token_buckets``, ``connection_turns``, ``processor_shares``.
"""
