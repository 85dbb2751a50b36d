"""What is the site to Sphinx? `docs/site/build.py` lays out its pages and starts it."""

from edgepack import __version__

project = "edgepack"
author = "The edgepack authors"
project_copyright = "The edgepack authors, Apache-2.0"
version = release = __version__

root_doc = "docs/README"
source_suffix = {".md": "markdown"}
extensions = ["myst_parser"]
nitpicky = True
highlight_language = "none"

myst_heading_anchors = 6  # the ids that code hosts give, so that links hold in both places
myst_url_schemes = ["http", "https"]

html_theme = "furo"
html_title = f"edgepack {release}"
html_copy_source = False
html_show_sphinx = False
html_permalinks_icon = "#"
html_theme_options = {"navigation_with_keys": True}
