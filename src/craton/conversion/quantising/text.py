"""The text that models are measured on where the user gives none: plain English about many things, written for this."""

HELD_OUT = """\
The harbour was quiet when the first ferry left. A woman on the upper deck counted the cranes along the northern quay
and wrote the number into a small green notebook, as she had done every morning since the spring. Eleven of them were
moving. Below, two mechanics argued about a pump that had failed in the night; one blamed the filter, the other the
cold, and neither went to look.

A river carries more sand in one day of flood than in a month of calm weather. When the water slows down behind a dam,
the sand sinks, and the lake becomes shallower year by year. Engineers can open gates near the bottom to flush it out,
but the coast a hundred miles away may already have lost the beaches that this sand used to feed.

To bake a simple loaf, mix five hundred grams of flour with ten grams of salt, three hundred and fifty millilitres of
warm water and a spoonful of yeast. Let the dough rest for an hour under a cloth. Fold it, shape it, wait again until
it has doubled, and bake it in a hot oven until the crust sounds hollow when you knock on it.

If a program reads a file that another program is writing, it may see only half of a line. A common remedy is to write
to a second file first and to rename it at the end, because renaming happens in one step: a reader finds either the
old content or the new one, and never a mixture of both.

The committee voted seven to four against the proposal. Its chair said that the figures for the third quarter were
better than expected, although unemployment in the two eastern districts had risen for the fifth time in a row. A new
report is to be published in November, and the members agreed to meet again before the end of the year.
"""
