"""Models that somebody made their own: customization jobs, custom models, where they are deployed."""
