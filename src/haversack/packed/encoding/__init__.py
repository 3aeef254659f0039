"""What a record is made of, as bytes: its array, its key, its metadata.

It knows nothing of files. Read ``kinds`` (what kind of array), ``codecs`` and ``images`` (how its
bytes are stored), ``encoder`` (both together), ``auto`` (which codec is worth it); then ``keys``,
``metadata`` and, for queries, ``columns``.
"""
