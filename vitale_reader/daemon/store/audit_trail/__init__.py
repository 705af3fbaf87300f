"""The audit trail: its lines, the chain that links them, and what is verified and forgotten of it.

- Each row of a station bears a keyed hash over itself and over the row before. ``audit_heads`` says, sealed, where the
  chain of each station begins and ends. So rows cannot be taken off either end.
- Whoever writes to the database but has no key can remove the trail, not change it unseen. Whoever puts back an older
  database is seen by the anchor. That is the end of the chain as the station's own folder knows it.
- A station whose trail was put back, cut or lost goes on with a row ``LOST``. Its number is above the highest that the
  station knows. The gap and the row are reported from then on. An administrator ends this with a row ``RESUMED`` and a
  reason. That counts for the breaks of that time, and for no others.
- What goes on is linked with a row that is there. So the reason of an administrator verifies.
- Retention moves the beginning of a chain. It takes away what verifies, and nothing else: the rest is evidence.

For other rooms: ``audit``, ``chain``, ``entries``, ``heads``, ``pages``, ``relinking``, ``verification``, ``walk``.
"""
