"""Short children's tales: who is in them, and the plots they can have.

A tale is drawn as a whole: names, pronouns, places and things stay the same from the
first sentence to the last, and what happens later follows from what happened before.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from grammar import an, expand, rows, words
from plots import ENDINGS, OPENINGS, PLOTS, Plot

__all__ = ["COLOURS", "KINDS", "PLACES", "THINGS", "Tale", "draw_tale", "random_name"]

Row = tuple[str, ...]

KINDS = rows("""
fox; forest; berries; clever; Finn            ; run
rabbit; meadow; carrots; quick; Rosie         ; dig
squirrel; forest; nuts; lively; Hazel         ; climb
bear; mountain; honey; strong; Bruno          ; climb
owl; forest; seeds; wise; Olivia              ; fly
mouse; barn; cheese; tiny; Milo               ; run
frog; pond; berries; jolly; Fred              ; swim
duck; pond; bread; cheerful; Daisy            ; swim
otter; river; berries; playful; Oscar         ; swim
mole; garden; roots; shy; Max                 ; dig
badger; forest; roots; gentle; Bella          ; dig
hedgehog; garden; apples; shy; Poppy          ; walk
deer; forest; leaves; gentle; Ella            ; run
robin; garden; seeds; cheerful; Ruby          ; fly
crow; farm; corn; clever; Carl                ; fly
sparrow; village; seeds; tiny; Sam            ; fly
turtle; lake; leaves; patient; Toby           ; swim
beaver; river; leaves; busy; Ben              ; swim
cat; village; fish; curious; Mia              ; climb
dog; farm; bones; friendly; Leo               ; dig
horse; farm; hay; strong; Henry               ; run
goat; mountain; leaves; brave; Greta          ; climb
cow; meadow; hay; gentle; Molly               ; walk
pig; farm; apples; jolly; Percy               ; walk
hen; farm; corn; busy; Nora                   ; walk
sheep; meadow; hay; shy; Lola                 ; walk
wolf; mountain; berries; brave; Will          ; run
lion; hill; figs; brave; Hugo                 ; run
tiger; jungle; figs; strong; Tara             ; run
elephant; jungle; bananas; gentle; Emma       ; walk
monkey; jungle; bananas; playful; Max         ; climb
parrot; jungle; nuts; lively; Lily            ; fly
panda; mountain; leaves; sleepy; Peter        ; climb
penguin; beach; fish; cheerful; Pip           ; swim
seal; beach; fish; playful; Sally             ; swim
snail; garden; leaves; patient; Zoe           ; walk
bee; meadow; honey; busy; Bella               ; fly
butterfly; meadow; honey; gentle; Lucy        ; fly
ant; garden; seeds; busy; Tim                 ; dig
dragon; mountain; apples; friendly; Felix     ; fly
robot; village; nuts; curious; Bob            ; walk
boy; village; apples; curious; Tom            ; run
girl; village; cookies; brave; Anna           ; run
princess; castle; cookies; kind; Clara        ; walk
knight; castle; bread; brave; Arthur          ; walk
king; castle; bread; wise; Edward             ; walk
giant; hill; bread; gentle; Bruno             ; walk
unicorn; meadow; apples; gentle; Luna         ; run
""")
"""Kind; home; favourite food; usual character; usual name; what it does well."""
OTHERS = words("""dinosaur zebra giraffe kangaroo spider swan goose hamster donkey camel
fairy elf pirate wizard queen prince farmer baker witch kitten puppy lamb pony bat
moose gardener teacher sailor ghost snowman lizard buffalo rhino baby child doctor
painter""")
"""Kinds of which no more is known, so that a model learns to take on any."""

BOYS = words("""Finn Bruno Milo Fred Oscar Max Carl Sam Toby Ben Leo Henry Percy Will
Hugo Peter Pip Tim Felix Bob Tom Arthur Edward Jack Noah Paul""")
GIRLS = words("""Rosie Hazel Olivia Daisy Bella Poppy Ella Ruby Mia Greta Molly Nora
Lola Tara Emma Lily Sally Zoe Lucy Anna Clara Luna Alice Ivy Jane Sophie""")
SEX = {"boy": "he", "king": "he", "knight": "he", "girl": "she", "princess": "she"}
SEX |= {"hen": "she", "cow": "she", "queen": "she", "prince": "he", "witch": "she"}
CHARACTERS = sorted({row[3] for row in KINDS} | {"small", "little", "young"})
PLACES = {
    **{place: f"in the {place}" for place in ("forest", "meadow", "garden", "village")},
    **{place: f"in the {place}" for place in ("jungle", "castle", "barn", "valley")},
    **{place: f"by the {place}" for place in ("pond", "lake", "river", "sea")},
    **{place: f"on the {place}" for place in ("farm", "hill", "mountain", "beach")},
}
COLOURS = words("red blue green yellow white black brown orange purple pink golden")
THINGS = words("""ball kite hat key bell book lantern scarf drum boat basket blanket
ring flute shell cup whistle doll""")
FOODS = sorted({row[2] for row in KINDS})
WEATHER = words("sunny windy rainy warm cold foggy bright cloudy")
TIMES = words("morning afternoon day")
SYLLABLES = words("""ba be bo da de do fi ga go ha jo ka ki ko la le lo lu ma me mi mo
na ni no pa pe ra re ri ro sa so ta ti to va vi wa ya zo""")
PRONOUNS = {"he": ("he", "him", "his"), "she": ("she", "her", "her")}


@dataclass(frozen=True)
class Tale:
    """One tale: its text, the plot it follows and what its slots hold."""

    text: str
    plot: Plot
    slots: dict[str, str]

    def tells_of(self, slot: str) -> bool:
        """Return whether the word in ``slot`` occurs in the text."""
        return self.slots[slot] in self.text


def random_name(rng: random.Random) -> str:
    """Return a name that no list has, so that a model learns to copy names."""
    parts = rng.sample(SYLLABLES, rng.choice((2, 2, 3)))
    return "".join(parts).capitalize()


def draw_tale(rng: random.Random) -> Tale:
    """Draw who, where and what; then a plot; then its words."""
    hero = _row(rng, KINDS)
    plot, extras = _plot(rng, hero)
    slots = extras | _person(rng, hero, "") | _scene(rng, hero)
    friend = _friend(rng, hero, extras["skill"])
    slots |= _person(rng, friend, "f", taken=slots["name"])
    slots["lesson"] = rng.choice(plot.lessons)
    parts = [rng.choice(OPENINGS), *plot.beats]
    parts += [rng.choice(ENDINGS)] if rng.random() < 0.7 else []
    text = " ".join(expand(rng, part, slots) for part in parts)
    return Tale(text, plot, slots)


def _plot(rng: random.Random, hero: Row) -> tuple[Plot, dict[str, str]]:
    """Draw a plot and a variant that suit ``hero``; most kinds have a usual plot."""
    usual = KINDS.index(hero) if hero in KINDS else rng.randrange(len(PLOTS))
    while True:
        often = rng.random() < 0.4
        plot = PLOTS[usual % len(PLOTS)] if often else rng.choice(PLOTS)
        extras = {"skill": "", "hard": ""} | rng.choice(plot.cases)
        if hero[5] not in extras["hard"].split():
            return plot, extras


def _person(
    rng: random.Random, row: Row, prefix: str, taken: str = ""
) -> dict[str, str]:
    """Return the slots of one figure; those of the friend start with ``f``."""
    kind, _, food, character, name, _ = row
    if rng.random() < 0.5 or name == taken:
        sex = SEX.get(kind) or rng.choice(("he", "she"))
        names = BOYS if sex == "he" else GIRLS
        name = rng.choice([other for other in names if other != taken])
    else:
        sex = "he" if name in BOYS else "she"
    if rng.random() < 0.15:
        name = random_name(rng)
    if rng.random() < 0.4:
        character = rng.choice(CHARACTERS)
    he, him, his = PRONOUNS[sex]
    slots = {"name": name, "kind": kind, "a_kind": an(kind), "food": food}
    slots |= {"he": he, "him": him, "his": his, "He": he.title(), "His": his.title()}
    slots |= {"character": character, "a_character": an(character)}
    return {prefix + key: value for key, value in slots.items()}


def _scene(rng: random.Random, hero: Row) -> dict[str, str]:
    """Return the slots of place, weather and the thing that the tale is about."""
    place = hero[1] if rng.random() < 0.5 else rng.choice(sorted(PLACES))
    colour, thing = rng.choice(COLOURS), rng.choice(THINGS)
    the_thing = f"{colour} {thing}"
    slots = {"place": place, "at": PLACES[place], "colour": colour, "thing": thing}
    slots |= {"weather": rng.choice(WEATHER), "time": rng.choice(TIMES)}
    slots["One_day"] = rng.choice(
        ("One day", f"One {slots['weather']} {slots['time']}")
    )
    return slots | {"the_thing": the_thing, "a_thing": an(the_thing)}


def _friend(rng: random.Random, hero: Row, skill: str) -> Row:
    """Return another kind than the hero, one with ``skill`` where that matters."""
    others = [row for row in KINDS if row[0] != hero[0]]
    if skill:
        return rng.choice([row for row in others if row[5] == skill])
    return _row(rng, others)


def _row(rng: random.Random, known: list[Row]) -> Row:
    """Return a row of ``known``, or now and then one made up for another kind."""
    row = rng.choice(known)
    if rng.random() < 0.88:
        return row
    character = rng.choice(CHARACTERS)
    return (rng.choice(OTHERS), row[1], row[2], character, rng.choice(BOYS + GIRLS), "")
