"""The way to a database: its address, threads and connections that end, its answers, statements that go together.

For other rooms: ``postgresql``, ``database_errors``, ``expiry``, ``outage``, ``service_lock``, ``target``,
``combined_writes``, ``thread_pool``.
"""
