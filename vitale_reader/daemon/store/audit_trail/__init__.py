"""The audit trail: its lines, the chain that links them, and what is verified and forgotten of it.

- Each row of a station bears a keyed hash over itself and over the row before. ``audit_heads`` says, sealed, where the
  chain of each station begins and ends, so that rows cannot be taken off either end.
- Whoever writes to the database but has no key can remove the trail, not change it unseen. Whoever puts back an older
  database is seen by the anchor, the end of the chain as the station's own folder knows it.
- A station whose trail was put back, cut or lost goes on above the highest number that it knows, with a row ``LOST``.
  The gap and the row are reported from then on, until an administrator writes a row ``RESUMED`` with a reason. That
  counts for the breaks of that time, and for no others.
- What goes on is linked with a row that is there, so that the reason of an administrator verifies.
- Retention moves the beginning of a chain. It takes away what verifies, and nothing else: the rest is evidence.

For other rooms: ``audit``, ``chain``, ``entries``, ``heads``, ``pages``, ``relinking``, ``verification``, ``walk``.
"""
