"""What is wanted of an array, and which cells of which blocks hold it; nothing is read yet.

Read ``grid`` (how an array is cut into blocks, by the arguments that ``cutting`` makes sense of;
``blocks`` is what users see of it), ``indexing`` (what stands in brackets; ``indexers`` are other
ways to write it), then ``plan`` (which cells) and ``layout`` (where in the result).
"""
