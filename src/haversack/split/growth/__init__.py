"""What a writer of a growing array does: rows into a journal, and slabs of rows into blocks.

Read ``rows`` (frames as records of the journal), ``slabs`` (what is filled, and what is whole),
``publishing`` (slabs become blocks, and their journal goes), then ``recovery`` (what a writer that
was killed left).
"""
