"""HTTP APIs that are asked at query time. (`data.sources.api` ingests one.)"""
