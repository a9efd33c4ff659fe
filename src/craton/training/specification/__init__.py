"""What is to be trained, on what, judged how: one document, whichever the method."""
