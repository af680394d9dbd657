"""Questions and answers: small facts that a child knows, and small talk.

Each fact is a question template for ``grammar.expand`` and its one answer.
"""

from __future__ import annotations

import random

from grammar import an, rows, words

__all__ = ["Fact", "comprehension", "fact_table", "small_talk", "sums"]

Fact = tuple[str, str]

COLOURS = """
the sky; blue
grass; green
snow; white
coal; black
the sun; yellow
a banana; yellow
a lemon; yellow
a carrot; orange
an orange; orange
a pumpkin; orange
a tomato; red
a strawberry; red
a cherry; red
blood; red
a leaf; green
a frog; green
a cucumber; green
milk; white
a swan; white
a polar bear; white
a crow; black
the night; black
chocolate; brown
a bear; brown
a plum; purple
a pig; pink
a flamingo; pink
an elephant; grey
a mouse; grey
the sea; blue
"""
OPPOSITES = """
hot; cold
big; small
up; down
day; night
happy; sad
fast; slow
old; new
light; dark
open; closed
long; short
high; low
wet; dry
full; empty
hard; soft
left; right
good; bad
early; late
near; far
loud; quiet
rich; poor
strong; weak
clean; dirty
thick; thin
sweet; sour
inside; outside
first; last
black; white
yes; no
begin; end
push; pull
love; hate
easy; difficult
safe; dangerous
brave; afraid
north; south
east; west
"""
DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = words("""January February March April May June July August September October
November December""")
SEASONS = words("spring summer autumn winter")
NUMBERS = words("""zero one two three four five six seven eight nine ten eleven twelve
thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty""")
ANIMALS = """
cow; moo; grass; on a farm; calf
dog; woof; meat and bones; in a house; puppy
cat; meow; fish and mice; in a house; kitten
sheep; baa; grass; on a farm; lamb
duck; quack; bread and water plants; on a pond; duckling
pig; oink; corn and apples; on a farm; piglet
horse; neigh; hay and grass; in a stable; foal
hen; cluck; corn; on a farm; chick
frog; croak; flies; in a pond; tadpole
lion; roar; meat; in Africa; cub
owl; hoot; mice; in the forest; owlet
bee; buzz; honey; in a hive; larva
mouse; squeak; cheese and seeds; in a hole; pup
wolf; howl; meat; in the forest; pup
bear; growl; berries, fish and honey; in the forest; cub
"""
EATERS = """
rabbit; carrots and grass; in a burrow
squirrel; nuts; in a tree
monkey; bananas; in the jungle
panda; bamboo; in China
penguin; fish; in the cold south
elephant; leaves and fruit; in Africa
fox; mice and berries; in the forest
goat; grass and leaves; on the mountain
fish; water plants; in the water
mole; worms; under the ground
whale; tiny sea animals; in the sea
camel; dry grass; in the desert
"""
CAPITALS = """
France; Paris
Germany; Berlin
Italy; Rome
Spain; Madrid
England; London
Japan; Tokyo
China; Beijing
Russia; Moscow
Egypt; Cairo
Greece; Athens
Portugal; Lisbon
Austria; Vienna
Poland; Warsaw
Norway; Oslo
Sweden; Stockholm
Canada; Ottawa
Ireland; Dublin
India; New Delhi
"""
SIZES = words("ant mouse cat dog sheep horse elephant whale")
PLAIN = """
How many days are in a week?; There are seven days in a week.
How many months are in a year?; There are twelve months in a year.
How many hours are in a day?; There are twenty-four hours in a day.
How many minutes are in an hour?; There are sixty minutes in an hour.
How many seasons are there?; There are four seasons: spring, summer, autumn and winter.
[What|Which] are the seasons?; The seasons are spring, summer, autumn and winter.
[What|Which] are the days of the week?; {days}
How many legs does a [dog|cat|horse|cow] have?; It has four legs.
How many legs does a [bird|duck|hen] have?; It has two legs.
How many legs does a spider have?; A spider has eight legs.
How many legs does an [ant|insect] have?; It has six legs.
How many sides does a triangle have?; A triangle has three sides.
How many sides does a square have?; A square has four sides.
How many fingers [do I have|are on one hand]?; There are five fingers on each hand.
How many wheels does a car have?; A car has four wheels.
How many wheels does a [bike|bicycle] have?; A bicycle has two wheels.
What do [we|you] see with?; We see with our eyes.
What do [we|you] hear with?; We hear with our ears.
What do [we|you] smell with?; We smell with our nose.
Can a [bird|bee|butterfly] fly?; Yes, it can fly.
Can a [fish|duck|frog] swim?; Yes, it can swim.
Can a [cow|dog|stone] fly?; No, it cannot fly.
What do bees make?; Bees make honey.
Where does milk come from?; Milk comes from cows.
Where do eggs come from?; Eggs come from hens.
What is ice?; Ice is frozen water.
What falls from the clouds?; Rain falls from the clouds.
What [is the sun|kind of thing is the sun]?; The sun is a star.
When does the sun rise?; The sun rises in the morning.
What shines at night?; The moon and the stars shine at night.
What comes after night?; After night comes the day.
What do plants need?; Plants need water, light and air.
What colours are in a rainbow?; {rainbow}
"""
LONG = {
    "days": ", ".join(["The days are Monday", *DAYS[1:6]]) + " and Sunday.",
    "rainbow": "A rainbow is red, orange, yellow, green, blue and purple.",
}
WHO = "I am TinyTales, a small model that tells stories and answers easy questions."
TALK = rows(f"""
[Hello|Hi|Hey|Hello there|Hi there][|!|.]; Hello! What can I do for you?
Good [morning|day|evening][|!|.]; Hello! It is nice to see you.
How are you?; I am well, thank you. How are you?
I am [fine|well|happy|good][|, thank you].; I am glad to hear that.
I am [sad|tired|bored|lonely].; I am sorry to hear that. Shall I tell you a story?
Who are you?; {WHO}
What are you?; {WHO}
[Tell me about yourself.|Introduce yourself.]; {WHO}
What is your name?; My name is TinyTales.
What can you do?; I can tell short stories and answer easy questions.
Who made you?; I was trained from scratch on a small computer.
How [big|large] are you?; I am very small: I have fewer than two million parameters.
Are you a [human|person|robot|computer]?; No, I am a small language model.
Can you help me?; Yes! Ask me a question, or ask me for a story.
Do you like [stories|tales|animals]?; Yes, I like them very much.
[Thank you|Thanks|Thank you very much][|!|.]; You are welcome!
[Goodbye|Bye|Good night|See you][|!|.]; Goodbye! Come back soon.
That was [nice|good|great|a nice story].; Thank you! I am glad that you liked it.
""")
UNKNOWN = """
Who is the president of {country}?
What is the weather today?
What time is it?
How do I fix my car?
Write a program in Python.
What is the meaning of life?
Who wrote this book?
What happened in 1969?
Explain quantum physics.
How do I get rich?
Translate this into French.
What is the price of gold?
Who won the game last night?
What is 347 times 28?
How far is it to the moon?
What is the capital of {country}?
What is the best phone?
How tall is the highest tower?
Can you drive a car?
"""
COUNTRIES = words("Peru Chile Kenya Brazil Turkey Cuba Nepal Mexico Ghana Finland Iran")
SORRY = "I do not know that. I only know small things and short stories."
NAMES = words("""Tom Mia Ben Anna Leo Lily Sam Ella Max Zoe Jack Nora Tim Ruby Paul Ivy
Bob Lucy Fred Jane""")
OWNED = words("ball kite hat key bell book cup drum boat basket doll ring")
PAINTS = words("red blue green yellow white black brown pink")
SPOTS = words("garden forest kitchen house village barn castle park")


def fact_table() -> list[Fact]:
    """Return every fixed fact."""
    facts = [(question, answer.format_map(LONG)) for question, answer in rows(PLAIN)]
    facts += _words() + _calendar() + _animals() + _capitals() + _sizes()
    return facts + _counting()


def small_talk(rng: random.Random) -> Fact:
    """Draw a greeting, a question about the model, or one that it cannot answer."""
    if rng.random() < 0.25:
        question = rng.choice(UNKNOWN.strip().splitlines())
        return question.format(country=rng.choice(COUNTRIES)), SORRY
    question, answer = rng.choice(TALK)
    return question, answer


def sums(rng: random.Random) -> Fact:
    """Draw an addition or a subtraction whose numbers are at most twenty."""
    total = rng.randint(0, 20)
    part = rng.randint(0, total)
    rest = total - part
    ask = "[What is |How much is |]"
    if min(part, rest) > 1 and rng.random() < 0.15:
        story = f"I have {part} apples and get {rest} more. How many apples do I have?"
        return story, f"You have {total} apples."
    if rng.random() < 0.6:
        question = f"{ask}{part}[ plus | + |+]{rest}[?| = ?]"
        return question, f"{part} plus {rest} is {total}."
    return (
        f"{ask}{total}[ minus | - |-]{part}[?| = ?]",
        f"{total} minus {part} is {rest}.",
    )


def comprehension(rng: random.Random) -> Fact:
    """Draw a question whose answer stands in the question itself."""
    one, two = rng.sample(NAMES, 2)
    thing, other = rng.sample(OWNED, 2)
    paint, second = rng.sample(PAINTS, 2)
    here, there = rng.sample(SPOTS, 2)
    mine, yours = an(f"{paint} {thing}"), an(f"{second} {other}")
    has = f"{one} has {mine} and {two} has {yours}."
    where = f"{one} is in the {here} and {two} is in the {there}."
    return rng.choice(
        (
            (f"{has} Who has the {thing}?", f"{one} has the {thing}."),
            (f"{has} Who has the {other}?", f"{two} has the {other}."),
            (f"{has} What colour is the {thing}?", f"The {thing} is {paint}."),
            (f"{has} What colour is the {other}?", f"The {other} is {second}."),
            (f"{where} Where is {one}?", f"{one} is in the {here}."),
            (f"{where} Where is {two}?", f"{two} is in the {there}."),
            (f"{where} Who is in the {there}?", f"{two} is in the {there}."),
            (f"My name is {one}. What is my name?", f"Your name is {one}."),
            (f"My name is {one}.", f"Hello, {one}! It is nice to meet you."),
        )
    )


def _words() -> list[Fact]:
    facts = []
    for thing, colour in rows(COLOURS):
        answer = f"{thing[0].upper()}{thing[1:]} is {colour}."
        facts.append((f"What [colour|color] is {thing}?", answer))
        facts.append((f"What is the [colour|color] of {thing}?", answer))
    for word, other in rows(OPPOSITES):
        for this, that in ((word, other), (other, word)):
            answer = f"The opposite of {this} is {that}."
            facts.append((f"What is the opposite of {this}?", answer))
    return facts


def _calendar() -> list[Fact]:
    facts = []
    for names, unit in ((DAYS, "day"), (MONTHS, "month"), (SEASONS, "season")):
        for name, after in zip(names, names[1:] + names[:1], strict=True):
            which = f"[What|Which] {unit}"
            facts.append(
                (f"{which} comes after {name}?", f"After {name} comes {after}.")
            )
            before = f"Before {after} comes {name}."
            facts.append((f"{which} comes before {after}?", before))
    return facts


def _animals() -> list[Fact]:
    facts = []
    for kind, sound, food, home, young in rows(ANIMALS):
        says = f"What [does {an(kind)} say|sound does {an(kind)} make]?"
        facts.append((says, f"{an(kind).capitalize()} says {sound}."))
        facts.append((f"Which animal says {sound}?", f"The {kind} says {sound}."))
        baby = f"A baby {kind} is called {an(young)}."
        facts.append((f"What is a baby {kind} called?", baby))
        facts += _habits(kind, food, home)
    for kind, food, home in rows(EATERS):
        facts += _habits(kind, food, home)
    return facts


def _habits(kind: str, food: str, home: str) -> list[Fact]:
    subject = an(kind)
    eats, lives = f"{subject} eats {food}.", f"{subject} lives {home}."
    return [
        (f"What does {subject} eat?", eats[0].upper() + eats[1:]),
        (f"Where does {subject} live?", lives[0].upper() + lives[1:]),
    ]


def _capitals() -> list[Fact]:
    facts = []
    for country, city in rows(CAPITALS):
        answer = f"The capital of {country} is {city}."
        facts.append((f"What[ is|'s] the capital[| city] of {country}?", answer))
        facts.append((f"Where is {city}?", f"{city} is in {country}."))
        facts.append(
            (f"[Which|What] country is {city} in?", f"{city} is in {country}.")
        )
    return facts


def _sizes() -> list[Fact]:
    facts = []
    for at, small in enumerate(SIZES):
        for big in SIZES[at + 1 :]:
            pair = f"[{an(small)} or {an(big)}|{an(big)} or {an(small)}]"
            bigger = f"Which is [bigger|larger], {pair}?"
            facts.append((bigger, f"The {big} is bigger."))
            facts.append((f"Which is smaller, {pair}?", f"The {small} is smaller."))
    return facts


def _counting() -> list[Fact]:
    facts = []
    for last in range(2, 13):
        listed = ", ".join(NUMBERS[1 : last + 1])
        facts.append((f"Count [to|up to] [{last}|{NUMBERS[last]}].", f"{listed}."))
    for number in range(20):
        this, after = NUMBERS[number], NUMBERS[number + 1]
        question = f"What [number |]comes after [{number}|{this}]?"
        facts.append((question, f"After {this} comes {after}."))
    return facts
