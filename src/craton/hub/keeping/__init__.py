"""How stored bytes are kept: counted, checked, and given back when nobody needs them."""
