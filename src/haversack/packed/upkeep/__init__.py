"""What is done to a whole dataset that exists: check it, compact it, repair it.

``verify`` reads everything. ``compaction`` writes chunks anew without what is deleted; ``removal``
removes what nobody needs. ``recovery`` repairs: ``repairbase`` finds the version to go on from,
``salvage`` and ``roughchunk`` what is whole of a chunk, ``lostlists`` of its deletions, ``rescue``
and ``strays`` of journals.
"""
