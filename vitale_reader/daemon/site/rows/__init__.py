"""The rows through which the desks of a site speak: who is there, who asks for what, how it goes, what came of it.

For other rooms: ``site_rows``.
"""
