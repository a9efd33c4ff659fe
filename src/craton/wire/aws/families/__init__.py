"""Bodies of InvokeModel in the words of the models' own makers, read, answered and streamed as each maker has it."""
