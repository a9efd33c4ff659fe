"""Child processes: starting them, talking to them in frames over a socket pair, bounding what they may take."""
