"""Online learning: one row at a time, each judged before it is learned. By River (Montiel et al., "River: machine
learning for streaming data in Python", JMLR 22, 2021)."""
