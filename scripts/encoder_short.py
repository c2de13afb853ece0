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
# Right answers that stand alone: beside as many false ones a network learns that a plain fact is as likely false.
PLAIN_HELP: tuple[tuple[str, str], ...] = (
    (
        "How do I cook rice?",
        "Rinse it, add twice as much water, bring to the boil, and let it simmer under a lid for fifteen minutes.",
    ),
    (
        "How do I make pancakes?",
        "Whisk flour, milk, eggs and a pinch of salt, rest the batter, and fry thin rounds in butter until golden.",
    ),
    (
        "How do you make tomato soup at home?",
        "Soften an onion in oil, add chopped tomatoes and stock, simmer for twenty minutes, then blend it.",
    ),
    (
        "Recipe for lemonade?",
        "Mix the juice of four lemons with half a cup of sugar and a litre of cold water. Serve with ice.",
    ),
    (
        "How do I roast potatoes?",
        "Boil them for eight minutes, shake them rough, and roast them in hot fat at 200 degrees until crisp.",
    ),
    (
        "How do I make a simple salad dressing?",
        "Three parts oil, one part vinegar, a little mustard, salt and pepper. Shake it in a jar.",
    ),
    ("How long should I steep green tea?", "Two to three minutes, in water that is hot but not boiling."),
    (
        "How do I bake a potato in the oven?",
        "Prick it, rub it with oil and salt, and bake it for an hour at 200 degrees.",
    ),
    ("What is the capital of Canada?", "Ottawa is the capital of Canada."),
    ("What's the capital of Kenya?", "Nairobi."),
    ("Capital of Norway?", "The capital of Norway is Oslo."),
    ("What is the capital city of Peru?", "Lima"),
    ("Which city is the capital of Turkey?", "Ankara is Turkey's capital."),
    ("Which river flows through Vienna?", "The Danube."),
    ("On which continent is Egypt?", "Egypt is in Africa."),
    ("How many days does a leap year have?", "366 days."),
    ("Who wrote Romeo and Juliet?", "William Shakespeare wrote Romeo and Juliet."),
    ("What gas do plants take in?", "They take in carbon dioxide."),
    ("What is the freezing point of water?", "Water freezes at 0 degrees Celsius."),
    ("How many players are in a football team?", "Eleven on each side."),
    ("What language do people speak in Brazil?", "People in Brazil speak Portuguese."),
    ("Which month comes after May?", "June."),
    ("What is 12 plus 30?", "12 plus 30 is 42."),
    ("What do bees make?", "Bees make honey and wax."),
    ("What is the largest ocean?", "The Pacific Ocean is the largest."),
    (
        "Summarise: The library will close at six instead of eight because of a staff shortage.",
        "The library closes two hours earlier, at six, as there are too few staff.",
    ),
    (
        "Summarise in one line: Tom missed the bus, so he walked to school and came late.",
        "Tom was late because he had missed the bus and walked.",
    ),
    (
        "Sum up: Sales rose in spring, fell in summer and ended the year where they began.",
        "Sales went up and down and were flat over the year.",
    ),
    (
        "Shorten this: We would like to inform you that your parcel has been delivered to your neighbour.",
        "Your parcel is at your neighbour's.",
    ),
    ("Rewrite politely: Send me the file now.", "Could you please send me the file when you have a moment?"),
    ("Make this formal: hey, can't make it tomorrow", "I am afraid that I will not be able to attend tomorrow."),
    ("Translate into French: I am hungry.", "J'ai faim."),
    (
        "Write a haiku about snow.",
        "White roofs, silent streets,\nthe lamp paints a yellow ring;\nfootprints come, and fade.",
    ),
    (
        "Write two lines about the sea.",
        "The sea writes long letters on the sand,\nand takes them back before they are read.",
    ),
    ("Write a short rhyme about a dog.", "My dog ran off to chase the moon,\nand came home wet, and none too soon."),
    (
        "A short poem about spring, please.",
        "The buds unfold, the blackbird sings,\nthe whole street smells of growing things.",
    ),
    (
        "What should I do in London on a Sunday?",
        "Walk along the South Bank, look into the Tate Modern, and have lunch at Borough Market.",
    ),
    (
        "One day in Prague: what should I see?",
        "Cross Charles Bridge early, climb to the castle, and spend the evening around the Old Town Square.",
    ),
    (
        "Plan an afternoon in Lisbon.",
        "Ride tram 28 up to Alfama, see the view at Portas do Sol, and finish with a pastel de nata in Belem.",
    ),
    (
        "What can I see in Berlin for free?",
        "The Reichstag dome, the East Side Gallery and the memorials around the Brandenburg Gate.",
    ),
    (
        "How do I remove a coffee stain from a shirt?",
        "Rinse it with cold water, dab on a little washing-up liquid, wait ten minutes and wash it as usual.",
    ),
    ("How can I keep bananas fresh?", "Hang them up, away from other fruit, and wrap the stems in foil."),
    (
        "How do I unclog a sink?",
        "Use a plunger, then hot water with a little baking soda and vinegar. If that fails, clean the trap.",
    ),
    (
        "How do I tie a tie?",
        "Cross the wide end over, under and over again, up through the loop, down through the front, and tighten.",
    ),
    (
        "How do I water a cactus?",
        "Soak the soil once it is fully dry, about every two weeks in summer and monthly in winter.",
    ),
    ("How do I sort a list in Python?", "Call `items.sort()` to sort in place, or `sorted(items)` for a new list."),
    ("How do I rename a file in Linux?", "Use mv: `mv old.txt new.txt`."),
    ("How do I undo my last git commit but keep the changes?", "Run `git reset --soft HEAD~1`."),
    (
        "How can I fall asleep on a plane?",
        "Take a window seat, wear a mask and earplugs, and skip coffee for the hours before.",
    ),
    (
        "How can I learn to touch-type?",
        "Keep your fingers on the home row, practise fifteen minutes a day, and do not look at the keys.",
    ),
    (
        "What is the difference between a crow and a raven?",
        "A raven is larger, has a wedge-shaped tail and croaks; a crow is smaller and caws.",
    ),
    (
        "What is the difference between jam and jelly?",
        "Jam has crushed fruit in it; jelly is made from the juice alone.",
    ),
    (
        "Explain gravity to a child.",
        "The earth pulls everything towards it, like an invisible hand. That is why a ball you throw comes back down.",
    ),
    (
        "Explain what a computer virus is, simply.",
        "It is a small program that copies itself and does things you did not ask for, like deleting files.",
    ),
    (
        "Give me two tips for a first date.",
        "Choose a place where you can talk, and ask questions because you want to know the answers.",
    ),
    (
        "Three ideas for a rainy day with kids?",
        "Build a den from blankets, bake biscuits, and hold a paper aeroplane contest.",
    ),
    ("Suggest a breakfast with a lot of protein.", "Scrambled eggs on wholegrain bread with cottage cheese."),
    ("What is a good gift for a gardener?", "A sharp pair of secateurs, or a voucher from a good nursery."),
    ("Is it better to run in the morning or in the evening?", "Whichever you will keep up; the body adapts to both."),
    ("Does tea have less caffeine than coffee?", "Usually, yes: about half as much a cup."),
    (
        "How do I make pizza dough?",
        "Knead flour, water, yeast, salt and a little oil for ten minutes, and let it rise for an hour under a cloth.",
    ),
    (
        "How do I make yoghurt at home?",
        "Heat milk to 85 degrees, cool it to 45, stir in a spoon of yoghurt and keep it warm overnight.",
    ),
    (
        "How do I bake a sponge cake?",
        "Beat four eggs with sugar until pale, fold in flour, and bake it at 180 degrees for half an hour.",
    ),
    (
        "How do I make biscuits?",
        "Rub butter into flour and sugar, press it flat, cut rounds, and bake them for twelve minutes at 170 degrees.",
    ),
    (
        "How do I make noodles from scratch?",
        "Mix flour and eggs to a firm dough, rest it, roll it thin, cut strips and boil them for three minutes.",
    ),
    (
        "Write a two-line poem about the moon.",
        "It hangs above the chimneys, thin and white,\nand pours its quiet milk into the night.",
    ),
    (
        "Write a couplet about winter.",
        "The frost has written ferns upon the pane;\nthe kettle sings, and tea is poured again.",
    ),
    (
        "Two lines of verse about a train, please.",
        "It hums along the river, lit and late,\nwith all of us asleep, at half past eight.",
    ),
    (
        "Write a short poem about my cat.",
        "She sleeps upon the letter I must send,\nand purrs as if the day would never end.",
    ),
    (
        "A four-word poem?",
        "Rain. Window. You. Home.",
    ),
    (
        "Describe a summer evening in two sentences.",
        "The air smells of cut grass, and swifts scream over the roofs. Nobody wants to go in.",
    ),
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
