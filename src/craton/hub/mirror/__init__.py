"""Upstream hubs, mirrored: a repository that is not here is fetched from there when somebody asks for it, and kept."""
