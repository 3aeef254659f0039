"""The web addresses of buckets: of S3, of Google, of Azure."""

from __future__ import annotations

from urllib.parse import quote


def s3(bucket: str, region: str = "") -> str:
    """Give the address of a bucket of S3.

    Dots in a bucket's name would make host names that no certificate covers, so such a name stands
    in the path, where S3 wants the host of the bucket's region.

    Examples
    --------
    >>> s3("floods"), s3("floods.example.org", "eu-west-1")
    ('https://floods.s3.amazonaws.com/', 'https://s3.eu-west-1.amazonaws.com/floods.example.org/')
    """
    if "." not in bucket:
        return f"https://{bucket}.s3.amazonaws.com/"
    return f"https://s3.{region}{'.' * bool(region)}amazonaws.com/{bucket}/"


def google(bucket: str) -> str:
    """Give the address of a bucket of Google Cloud Storage."""
    return f"https://storage.googleapis.com/{quote(bucket)}/"


def azure(account: str, container: str = "") -> str:
    """Give the address of an account of Azure, or of a container in it."""
    base = f"https://{account}.blob.core.windows.net/"
    return f"{base}{quote(container)}/" if container else base
