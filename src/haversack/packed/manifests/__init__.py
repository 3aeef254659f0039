"""What makes chunks a version of a dataset: its manifest, and the files beside the chunks.

Read ``manifest`` (which chunks, published by linking the next number), ``index`` (the keys and
metadata of a chunk, as Parquet) and ``deletions`` (which rows no longer count).
"""
