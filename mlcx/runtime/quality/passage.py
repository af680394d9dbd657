"""The text that models are compared on when nobody names one: prose, talk, code, data.

Written for this purpose, in a few languages, about 600 tokens of a common tokenizer.
"""

from __future__ import annotations

__all__ = ["PASSAGE"]

PASSAGE = """\
Once upon a time there was a small town at the mouth of a river. Every morning the \
baker lit her oven before the sun came up, and the smell of bread went down the \
street to the harbour, where the boats were waiting for the tide. One day a girl \
named Mia found a bottle between the stones. Inside it was a letter, and the letter \
said: "Whoever reads this should know that I was here, that the whales were singing, \
and that I was not afraid." Mia read it three times. Then she ran home and asked her \
grandfather what it meant.

"It means," he said, "that somebody wanted to be heard, even by a stranger. Most \
letters are like that. Would you like to write an answer?"

The distance from the Earth to the Moon is about 384,400 kilometres, and light needs \
a little more than one second for it. Water boils at 100 degrees Celsius at sea \
level, but at 2,000 metres above it boils at roughly 93 degrees, because the air \
presses less on its surface. That is why eggs take longer to cook in the mountains: \
not the time on the stove, but the temperature of the water decides.

How do I find out which of two numbers is larger without using a comparison? First, \
subtract one from the other. Second, look at the sign of the result. If it is \
negative, the second number was the larger one; if it is zero, both are equal. For \
example, 7 - 12 = -5, so 12 is larger than 7.

def average(values):
    if not values:
        raise ValueError("no values")
    total = 0.0
    for value in values:
        total += value
    return total / len(values)

{"name": "harbour", "boats": [{"id": 1, "length": 7.5}, {"id": 2, "length": 12.0}]}

User: My parcel has not arrived yet. What should I do?
Assistant: I am sorry to hear that. Please check the tracking number first; if the \
status has not changed for five days, write to us and we will send a new one.
User: Thank you, that helps.

Der Zug nach Hamburg faehrt heute von Gleis sieben ab. Bitte beachten Sie, dass er \
etwa zehn Minuten spaeter kommt. Le chat dort sur la chaise pendant que la pluie \
tombe dans le jardin. El mercado abre a las ocho y cierra a las dos, menos los \
domingos.

In the evening the wind turned. The boats came back one after another, and the men \
carried their baskets up the steps. Mia sat at the window with a sheet of paper. She \
had written only one line so far, but she liked it: "Dear stranger, I heard you." \
Outside, far away, something was singing.
"""
