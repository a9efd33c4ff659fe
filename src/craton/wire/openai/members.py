"""The members of OpenAI's bodies that Craton does not act on: what each is, and whether it may be passed over."""

from __future__ import annotations

from craton.wire.body import Refusal

HARMLESS = {
    "metadata": "labels of the caller's own",
    "prompt_cache_key": "a hint for a cache",
    "prompt_cache_options": "a hint for a cache",
    "prompt_cache_retention": "a hint for a cache",
    "safety_identifier": "a label for the end user",
    "service_tier": "a price class; the answer says none",
    "user": "a label for the end user",
}
"""Accepted and not acted on: the answer would be the same."""

_TOOLS = "Send `tools` and `tool_choice`."
_FORMAT = "Send `response_format` with a JSON schema."

REFUSED = {
    "audio": Refusal(hint="Craton answers in text."),
    "function_call": Refusal(hint=_TOOLS),
    "functions": Refusal(hint=_TOOLS),
    "modalities": Refusal((["text"],), "Craton answers in text."),
    "moderation": Refusal(),
    "prediction": Refusal(),
    "store": Refusal((False,), "Craton keeps no answers for later retrieval."),
    "verbosity": Refusal(("medium",), "Ask for it in the prompt."),
    "web_search_options": Refusal(hint="Craton does not search the web."),
    # llama.cpp's and vLLM's own
    "best_of": Refusal((1,)),
    "chat_template": Refusal(hint="The model's own template is used."),
    "chat_template_kwargs": Refusal(({},), "Send `reasoning_effort` to steer thinking."),
    "grammar": Refusal(("",), _FORMAT),
    "guided_choice": Refusal(hint=_FORMAT),
    "guided_grammar": Refusal(hint=_FORMAT),
    "guided_json": Refusal(hint=_FORMAT),
    "guided_regex": Refusal(hint=_FORMAT),
    "ignore_eos": Refusal((False,)),
    "json_schema": Refusal(hint=_FORMAT),
    "min_tokens": Refusal((0,)),
    "repeat_penalty": Refusal((1,), "Send `frequency_penalty`."),
    "repetition_penalty": Refusal((1,), "Send `frequency_penalty`."),
    "stop_token_ids": Refusal(([],), "Send `stop`."),
    "structured_outputs": Refusal(hint=_FORMAT),
    "use_beam_search": Refusal((False,)),
}
"""Refused with anything but these values: passing them over would change the answer."""
