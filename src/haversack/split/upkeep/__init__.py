"""Metadata that are lost or damaged, made again.

Read ``restoring`` (the whole of it), then ``reviving`` (what damaged metadata still say) and
``assembling`` (what blocks and journals tell).
"""
