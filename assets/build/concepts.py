"""What the pocket models know: 123 things, each named by a display name and one emoji character.

The character is only a key. Every icon package ships a `chars.json` from code points to its own icon names, so that
one key finds the same thing in every vendor's drawing style.
"""

from __future__ import annotations

from assets.build.colours import on_background

GROUPS: dict[str, str] = {
    "animals": (
        "cat 🐱, dog 🐶, bear 🐻, panda 🐼, koala 🐨, tiger 🐯, lion 🦁, cow 🐮, pig 🐷, frog 🐸, monkey 🐵, chick 🐤, owl 🦉, unicorn 🦄, "
        "bee 🐝, butterfly 🦋, snail 🐌, ladybug 🐞, turtle 🐢, octopus 🐙, crab 🦀, fish 🐠, whale 🐳, elephant 🐘, rabbit 🐰, snake 🐍, "
        "dinosaur 🦕, flamingo 🦩"
    ),
    "food": (
        "red apple 🍎, banana 🍌, orange fruit 🍊, lemon 🍋, watermelon 🍉, grapes 🍇, strawberry 🍓, cherries 🍒, pineapple 🍍, "
        "avocado 🥑, carrot 🥕, broccoli 🥦, corn 🌽, eggplant 🍆, hamburger 🍔, pizza 🍕, hot dog 🌭, french fries 🍟, fried egg 🍳, "
        "cheese 🧀, donut 🍩, cookie 🍪, cupcake 🧁, birthday cake 🎂, ice cream 🍦, lollipop 🍭, cup of coffee ☕"
    ),
    "plants": (
        "tree 🌳, palm tree 🌴, cactus 🌵, christmas tree 🎄, sunflower 🌻, tulip 🌷, rose 🌹, mushroom 🍄, "
        "four leaf clover 🍀, maple leaf 🍁"
    ),
    "vehicles": (
        "car 🚗, taxi 🚕, bus 🚌, fire truck 🚒, steam train 🚂, airplane ✈, rocket 🚀, helicopter 🚁, sailboat ⛵, flying saucer 🛸"
    ),
    "objects": (
        "house 🏠, castle 🏰, tent ⛺, umbrella ☂, balloon 🎈, gift 🎁, guitar 🎸, key 🔑, lock 🔒, light bulb 💡, alarm clock ⏰, "
        "book 📕, pencil ✏, scissors ✂, camera 📷, television 📺, laptop 💻, crown 👑, top hat 🎩, trophy 🏆, soccer ball ⚽, "
        "basketball 🏀, robot 🤖, teddy bear 🧸"
    ),
    "faces": (
        "grinning face 😀, crying face 😭, angry face 😡, sunglasses face 😎, heart eyes face 😍, sleeping face 😴, clown face 🤡, "
        "ghost 👻, alien 👽, skull 💀, pumpkin 🎃, snowman ⛄"
    ),
    "symbols": (
        "red heart ❤, blue heart 💙, star ⭐, sun ☀, crescent moon 🌙, cloud ☁, rainbow 🌈, snowflake ❄, fire 🔥, water drop 💧, "
        "lightning bolt ⚡, globe 🌍"
    ),
}


def _read(text: str) -> dict[str, str]:
    pairs = (entry.rsplit(" ", 1) for entry in text.split(", "))
    return {name: character for name, character in pairs}


CONCEPTS: dict[str, str] = {name: character for text in GROUPS.values() for name, character in _read(text).items()}
# What the two smaller families know: the 24 things of PROMPTS, and 26 more that differ much in outline or colour.
FAMILY_THINGS: tuple[str, ...] = (
    *("cat", "dog", "panda", "frog", "owl", "octopus", "butterfly", "pig", "chick", "koala", "lion", "ladybug", "turtle", "fish"),
    *("red apple", "pizza", "hamburger", "strawberry", "cupcake", "banana", "watermelon", "carrot", "donut", "cheese"),
    *("cactus", "sunflower", "mushroom", "tree", "christmas tree", "car", "rocket", "sailboat"),
    *("guitar", "crown", "robot", "umbrella", "balloon", "gift", "key"),
    *("grinning face", "ghost", "alien", "snowman"),
    *("blue heart", "red heart", "star", "sun", "crescent moon", "cloud", "rainbow"),
)
# Never shown to any model: for a test that needs a thing the base does not know.
HELD_OUT: dict[str, str] = {"penguin": "🐧", "fox": "🦊", "hedgehog": "🦔"}
# Mirrored, these would be wrong: writing, the hands of a clock, a shape with a hand.
NEVER_MIRRORED = {"crescent moon", "book", "guitar", "alarm clock", "bus", "taxi", "pencil"}
STYLES: dict[str, str] = {"flat": "flat style", "noto": "soft style"}
WITHOUT_ARTICLE = {"grapes", "cherries", "french fries", "scissors", "corn", "broccoli", "cheese", "fire"}

# The 24 prompts on which the pocket base is judged; written down before it was first trained.
PROMPTS: tuple[tuple[str, str, str | None], ...] = (
    ("cat", "blue", None),
    ("dog", "green", None),
    ("panda", "pink", None),
    ("frog", "yellow", "flat"),
    ("owl", "purple", None),
    ("octopus", "white", None),
    ("butterfly", "grey", "noto"),
    ("red apple", "white", None),
    ("pizza", "blue", None),
    ("hamburger", "green", None),
    ("strawberry", "yellow", "noto"),
    ("cupcake", "grey", None),
    ("cactus", "orange", None),
    ("sunflower", "blue", "flat"),
    ("mushroom", "black", None),
    ("car", "white", None),
    ("rocket", "purple", None),
    ("sailboat", "orange", "noto"),
    ("guitar", "yellow", None),
    ("crown", "red", None),
    ("robot", "green", None),
    ("grinning face", "black", None),
    ("ghost", "red", "flat"),
    ("blue heart", "red", None),
)


def name_thing(name: str) -> str:
    """`a cat`, `an owl`, `grapes`."""
    if name in WITHOUT_ARTICLE:
        return name
    return ("an " if name[0] in "aeiou" and name != "unicorn" else "a ") + name


def caption(name: str, colour: str | None = None, vendor: str | None = None) -> str:
    """`a cat on a blue background, flat style`: the form in which the models were trained; both ends may be left out."""
    text = on_background(name_thing(name), colour) if colour else name_thing(name)
    return f"{text}, {STYLES[vendor]}" if vendor else text
