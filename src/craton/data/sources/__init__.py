"""Where documents come from. `Sources` opens one for an ingestion: it lists, fetches, and says where to go on.

`SourceSpec.options` of each kind (types and bounds are in `options`; nothing else is accepted):

folder   path; include, exclude: patterns over paths ("*.pdf", "guides/**"); follow_links.
         NAME.metadata.json beside a file holds its metadata and access list.
bucket   bucket; prefixes; include, exclude. Metadata files as in folders.
web      seeds; scope: "default" (the seed's host, below its path), "host_only" or "subdomains" (the seed's host and
         those below it); max_pages; max_depth; rate: requests a minute to a host; include, exclude: regular expressions
         over addresses; user_agent. robots.txt is kept to, sitemaps that it names are read.
sql      database: as the operator registered it; table or query; key: columns; title; text: columns, or template with
         {column}; metadata: columns; updated: a column that grows with each change makes it incremental; deleted: a
         column that marks what is gone; page_size; timeout in seconds.
api      url; items, key, title, link, etag, updated, deleted: JSON pointers; text: pointers; metadata: name -> pointer;
         since_parameter (with updated) makes it incremental; pagination: {kind, parameter, first, size_parameter, size,
         pointer}; headers; auth_header and auth_prefix for the spec's credential; max_items; rate.
hub      repo: "namespace/name"; repo_kind; revision; include, exclude; rows, with key, text, title, metadata: columns.
direct   none: documents are handed in.

The server imports this package; what is heavy (httpx, lxml, psycopg) is imported when a source of that kind is opened.
"""

from craton.core.errors import SourceFailed
from craton.data.sources.factory import Sources
from craton.data.sources.options import KINDS

__all__ = ["KINDS", "SourceFailed", "Sources"]
