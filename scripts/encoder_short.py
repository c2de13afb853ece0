"""Short exchanges, written for this script: a prompt, a right answer and, where one is plain, a wrong one.

Labelled rows are long; these teach that one word can be an answer, that an echo is none, and that a told
joke does what was asked. Prompts and answers stand here once and are composed anew each epoch.
"""

from __future__ import annotations

SHORT: tuple[tuple[str, str, str | None], ...] = (
    ("What is seven times eight?", "56", "54"),
    ("How many legs does a spider have?", "Eight.", "A spider has six legs."),
    ("Who painted the Mona Lisa?", "Leonardo da Vinci.", "The Mona Lisa was painted by Picasso."),
    ("What colour do blue and yellow make?", "Green.", "They make purple."),
    ("Is the sun a star?", "Yes, it is.", "No, the sun is a planet."),
    ("Do fish breathe air with lungs?", "No, they use gills.", "Yes, fish breathe air with lungs."),
    ("Is glass made from sand?", "Yes, mostly.", None),
    ("Do vaccines cause autism?", "No. Large studies found no link.", "Yes, vaccines cause autism."),
    ("Was the moon landing staged?", "No, it really took place.", "Yes, it was filmed in a studio."),
    ("Can people live without water?", "No, only for a few days.", "Yes, easily for months."),
    ("Does the sun go around the earth?", "No, the earth goes around the sun.", "Yes, the sun circles the earth."),
    ("Which is heavier, a kilo of iron or a kilo of feathers?", "They weigh the same.", "The iron is heavier."),
    ("What is the chemical sign of gold?", "Au", "Gd"),
    ("Name a mammal that can fly.", "The bat.", "The ostrich is a mammal that can fly."),
    ("Which planet is the largest?", "Jupiter is the largest planet.", "Mars is the largest planet."),
    ("How do you say thank you in Spanish?", "Gracias.", "You say merci."),
    ("Translate to German: good morning", "Guten Morgen", None),
    ("What is the opposite of hot?", "Cold", None),
    ("Spell the number 40.", "Forty", "Fourty"),
    ("What is the square root of 81?", "9", "8"),
    ("In which year did the Second World War end?", "1945", "It ended in 1952."),
    ("What is the tallest mountain on earth?", "Mount Everest.", "The tallest mountain is Mont Blanc."),
    ("What currency is used in India?", "The rupee.", "India uses the yen."),
    ("How many minutes are in two hours?", "120 minutes.", "There are 90 minutes in two hours."),
    ("Hello!", "Hello! What can I do for you?", None),
    ("Good morning, how are you?", "I am well, thank you. How can I help?", None),
    ("Thanks for your help.", "You are welcome!", None),
    ("Are you a human being?", "No, I am a computer program.", "Yes, I am a human being."),
    ("Make me laugh.", "I told my plants a joke. Now they are rooting for me.", None),
    ("Tell a joke about the sea.", "Why is the sea so friendly? Because it always waves.", None),
    ("Do you know a good pun?", "I used to be a baker, but I could not make enough dough.", None),
    ("Give me a riddle.", "What has keys but opens no door? A piano.", None),
    (
        "I want to hear something funny about doctors.",
        "The doctor said I need glasses. So I bought two for wine.",
        None,
    ),
    ("Write one line about the rain.", "The rain taps its old song on the roof.", None),
    ("Suggest a name for a grey cat.", "Pebble", None),
    ("Think of a slogan for a bicycle shop.", "Two wheels, no worries.", None),
    ("Pick a number from one to ten.", "Seven.", None),
    ("Rewrite in the past tense: I go home.", "I went home.", None),
    ("Is this sentence positive or negative: I hate waiting.", "Negative", None),
    ("Give a rhyme for moon.", "Spoon", None),
    ("What is the plural of mouse?", "Mice", "The plural is mouses."),
    ("Is it legal to ride a bicycle without a bell in my town?", "That depends on your local rules.", None),
    ("Which is further north, Oslo or Madrid?", "Oslo", "Madrid is further north."),
    ("Do cats always land on their feet?", "Often, but not always.", "Yes, from any height, without fail."),
    ("Can lightning strike one place twice?", "Yes, it can.", "No, never."),
    ("Do we use only ten percent of our brain?", "No, that is a myth.", "Yes, only ten percent of it."),
)
SHORT_REFUSALS = ("No.", "Sorry, no.", "I can't.", "I refuse.", "I won't answer that.", "Can't help with this.")
SHORT_MISSES = (
    "I do not know.",
    "No idea.",
    "Whatever.",
    "ok",
    "What?",
    "Maybe another time it will rain.",
    "the of and",
)
