"""Mail (RFC 5322): who wrote what to whom, and the text of the body. Attachments are named, not read."""

from __future__ import annotations

import email
import email.errors
import email.policy
from email.message import EmailMessage

from craton.core.errors import Damaged
from craton.data.parsing.building import Builder
from craton.data.parsing.html import add_html
from craton.data.parsing.prose import add_text

_HEADERS = ("From", "To", "Cc", "Date")


def add_mail(builder: Builder, content: bytes) -> None:
    try:
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        builder.add("heading", str(message.get("Subject", "")), level=1)
        builder.add("row", "\n".join(f"{name}: {message[name]}" for name in _HEADERS if message[name]))
        body = message.get_body(("plain", "html"))
        if body is not None and body.get_content_type() == "text/html":
            title = builder.title
            add_html(builder, str(body.get_content()))
            builder.title = title
        elif body is not None:
            add_text(builder, str(body.get_content()))
        for part in message.iter_attachments():
            builder.note(f"The attachment {part.get_filename() or 'without a name'} was not read.")
    except (LookupError, ValueError, AttributeError, TypeError, email.errors.MessageError):
        raise Damaged("The document", "it cannot be read as mail") from None
