"""The rows through which the desks of a site speak: their presence, their requests, the steps and the answers.

- Rows are the truth, and notifications only hasten. A desk looks at the rows once a beat, whatever it hears.
- A notification holds one word and one id. Of a step, which is no more than news, it holds the sealed step. Of a
  request it holds what is asked for, sealed: a desk arms its readers for it at once. Whether it may answer, the row
  decides when it is taken. A notification goes to the desks that it concerns (``notifications``).
- A statement is a transaction by itself, and does all that belongs together. Each round trip is felt by who waits.
- An announcement is sealed with the key of the site, bound to its row and to its desk. A row made without that key is
  no row of this site. An answer is sealed for the desk that asked (``station_encryption``).
- An incarnation is one run of a daemon. What a desk left behind when it died is not taken for its own when it is back.
- Times are those of the database's clock, which all desks share.

For other rooms: ``desks``, ``messages``, ``requests``, ``site_rows``, ``statements``.
"""
