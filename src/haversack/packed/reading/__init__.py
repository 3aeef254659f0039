"""A version, opened: all chunks and the journal as one row of records.

Read ``snapshot`` first, which is all of it; then what it is made of: ``parts``, of ``uniform`` or
``mixed`` chunks, which ``mapped`` maps and ``locate`` finds; ``keytables`` with ``mergedkeys``.
``current`` and ``versions`` say which version is opened, and give one a tag; ``records`` is what
reading gives.
"""
