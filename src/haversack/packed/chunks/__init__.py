"""One chunk: a big file of many records, written once and never changed.

Read ``layout`` (its bytes), ``writer`` with ``blockfile`` and ``settling``, then ``reader`` with
what it finds records by: ``sections``, ``rowtable`` and ``keytable``, checked in ``blocks``.
"""
