"""Floor 3: bring what a catalog names here, whole and exactly once."""

from haversack.download.holdings import IfExists
from haversack.download.report import DownloadReport, FailedAsset
from haversack.download.run import download, plan
from haversack.download.sources import StacApi

__all__ = ["DownloadReport", "FailedAsset", "IfExists", "StacApi", "download", "plan"]
