"""The two ways to be let in at Bedrock: a bearer key, or AWS keys with Signature Version 4 (done by botocore)."""

from __future__ import annotations

from dataclasses import dataclass, field

from craton.engines.upstream.transport import Sign


@dataclass(frozen=True, slots=True)
class BearerKey:
    """A Bedrock API key (what AWS_BEARER_TOKEN_BEDROCK holds)."""

    key: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.key,)

    def signer(self) -> Sign:
        headers = {"authorization": f"Bearer {self.key}"}
        return lambda url, body: headers


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """An access key pair, with the session token of temporary ones. region: the scope of the signature."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str
    session_token: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.secret_key, self.session_token, self.access_key)

    def signer(self) -> Sign:
        def sign(url: str, body: bytes) -> dict[str, str]:
            from botocore.auth import SigV4Auth
            from botocore.awsrequest import AWSRequest
            from botocore.credentials import Credentials

            request = AWSRequest(method="POST", url=url, data=body, headers={"content-type": "application/json"})
            keys = Credentials(self.access_key, self.secret_key, self.session_token or None)
            SigV4Auth(keys, "bedrock", self.region).add_auth(request)
            return {name.lower(): value for name, value in request.headers.items()}

        return sign
