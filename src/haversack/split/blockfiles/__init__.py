"""One block: a file that any HDF5 library opens, and that haversack reads by byte ranges.

Read ``encoding`` (how one is made) and ``tail`` (what haversack keeps behind HDF5's end), then
``block`` (what readers see of any), ``ownblock`` with ``chunkrows``, ``fetching`` and ``rowsfetch``
(ours), and ``foreign`` with ``filters`` (those of others). ``finishing`` tells whether many of them
go together.
"""
