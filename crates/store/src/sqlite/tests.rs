//! What only shows from inside: faults of the disk, formats to come.
