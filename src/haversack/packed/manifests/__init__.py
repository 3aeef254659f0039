"""What makes chunks a version of a dataset: its manifest, and the files beside the chunks.

Read ``places`` (where each file lies), ``manifest`` (what one says), ``publishing`` (by linking the
next number) and ``kept`` (which are there); then what stands beside each chunk: ``index`` (keys and
metadata, as Parquet) and ``deletions`` (which rows no longer count).
"""
