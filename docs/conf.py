"""Configuration of Sphinx, which makes the site from these pages."""

project = "vitale-reader"
project_copyright = "the contributors of vitale-reader, under the Apache License 2.0"
html_title = "vitale-reader"
extensions = ["myst_parser"]
exclude_patterns = ["_build", "generator"]
html_theme = "furo"
myst_heading_anchors = 3
# A page says of a file elsewhere in the repository where it is; on the site there is no such page.
myst_all_links_external = False
nitpicky = True
