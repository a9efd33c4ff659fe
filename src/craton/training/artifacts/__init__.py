"""What a run leaves: a folder with weights and their description, tried in a fresh process, then published."""
