"""From what a specification calls its data to tables: rows read, columns understood, splits made, faults found."""
