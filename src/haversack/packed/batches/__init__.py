"""Batches: the order of an epoch, and memory that is filled ahead of who trains.

Read ``loader`` first; ``shuffle`` and ``dealing`` say which records a batch has, ``filling`` and
``ahead`` read them in time, into ``buffers``.
"""
