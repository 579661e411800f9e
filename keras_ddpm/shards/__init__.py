"""Labelled images in shards: one file a shard, and a manifest with the count and the SHA-256 of each.

    manifest.json                  settings, totals, and one entry a shard
    *-00000-of-00100*              the shards, in one of four formats
    .shards/00000-of-00100.json    the entry of a shard, written when its file has its name

A file gets its name when it is complete, and its entry after that. So a shard is finished if its entry is there and its
file's SHA-256 is the entry's, and whatever was killed in between is written again. The folder is a local one, or a
bucket that Apache Beam can write to.
"""
