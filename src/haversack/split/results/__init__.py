"""From the blocks into the result: who reads, who decodes, and straight to where it belongs.

Read ``filling`` (all blocks of a result, on all cores) and ``tasks`` (one block), then the ways of
a task: ``gathering`` (compressed) and ``scattering`` (not compressed) fill the regular parts that
``tiles`` lays out, by ``storedrows``; ``patches`` reads many small boxes at once.
"""
