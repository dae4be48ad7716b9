"""The explorer: one page over a few URLs, which a Datasette plugin answers and a static copy has as files.

`answers` has the URLs, `site` the page itself; `plugin` is what Datasette knows, `serving` what `bloxdb
explore` runs, and `copying` writes the static copy. The server needs `pip install 'bloxdb[web]'`.
"""
