"""The S3 dialect: buckets over rest-xml, as unmodified AWS clients speak it.

Told apart from everything else on the port by the service in the request's signature.
"""
