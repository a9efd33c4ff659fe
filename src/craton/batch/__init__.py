"""Many invocations at once, as jobs behind the interactive traffic."""
