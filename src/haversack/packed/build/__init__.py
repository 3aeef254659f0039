"""Bulk builds: many items at once, in order, by one or many workers, resumed where one was killed.

The items are cut into runs of a fixed count. A run becomes chunks of its own, so that workers need
not know of each other, and what they write does not depend on how many they are.

Read ``making`` (a build from beginning to end) and ``building`` (run by run); then ``portions`` and
``runs`` (what a worker does), ``crew`` and ``crossing`` (who the workers are), ``source`` and
``reading`` (where items come from), ``unique`` (keys); and for going on after a kill ``notes``,
``owning``, ``marks`` and ``checks``.
"""
