//! Stories against a server that answers byte by byte.
