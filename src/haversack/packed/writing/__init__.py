"""A commit: from records to a new version, whatever others commit meanwhile.

Read ``drafts`` (a chunk in the making), ``change`` (what a commit does to a version) and
``committing`` (by the journal, of what is ``pending``, or as a version); then ``sealing``, which
publishes, ``smallchunks``, which keeps chunks few, ``copying``, and ``place``.
"""
