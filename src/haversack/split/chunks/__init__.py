"""One chunk of a block: how it is compressed, and decompressed on all cores.

Read ``chunk`` (its bytes), ``codec`` with ``chunking`` (how new ones are made), then ``blosc`` (how
it is decoded, by ``threads``) and ``alike`` (what many chunks have in common).
"""
