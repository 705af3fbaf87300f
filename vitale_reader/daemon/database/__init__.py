"""The way to a database: where it is, threads and connections that end, what it says, statements that go together.

For other rooms: ``postgresql``, ``database_errors``, ``expiry``, ``outage``, ``service_lock``, ``target``,
``combined_writes``, ``thread_pool``.
"""
