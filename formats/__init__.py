"""Pure text <-> dataclass, one module a file format. Nothing here reads, writes or connects."""
