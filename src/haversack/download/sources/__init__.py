"""Sources that are no archive: each is read once, and kept as an archive of its documents."""

from haversack.download.sources.bundle import bundle, is_of
from haversack.download.sources.choose import Source, StacApi, checked, is_bundled, name_of, urls_in

__all__ = ["Source", "StacApi", "bundle", "checked", "is_bundled", "is_of", "name_of", "urls_in"]
