"""From a question to passages: embed, search both legs, join with the truth, fuse, drop copies, page."""
