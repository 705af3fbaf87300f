"""Files of the Debian package that are made from the code: ``python -m debian_package --help``.

``.ci/deb`` runs it with the environment that it packages, so that every file tells what that environment holds.
"""
