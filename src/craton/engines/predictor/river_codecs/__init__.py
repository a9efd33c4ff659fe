"""River's models as JSON and back: for exactly the classes that are listed, all of their state and nothing else.

River has no format of its own but pickle; through skops a Hoeffding tree came back without an error and with wrong
answers. What is written here comes back equal in every bit, and goes on learning as if it had never left.
"""
