"""A directory of blocks, journals and metadata: what it is an array of, whoever wrote it.

Read ``metadata`` (in all dialects; ``fields`` and ``about`` are parts of it, ``legacy`` does
without) and ``finding`` (which files are meant), ``journal`` and ``growing`` (an array that grows),
then ``store``, which reads all of it. ``remains`` and ``uncounted`` are what blocks and journals
tell without the metadata, or in spite of them.
"""
