"""
The interfaces files of ifupdown: their syntax, the tree of files that ifupdown reads, what a stanza
means, and the stanza that bramble writes.

Source: interfaces(5) and config.c of ifupdown 0.8.44.
"""
