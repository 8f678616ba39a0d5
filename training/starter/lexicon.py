"""Word lists of the starter model: all that it knows was written down here.

Short lists are a choice. A model of two million parameters copies words that it has seen as whole
tokens almost without fault, and unknown words badly; so the lists hold what people try first.
"""

from __future__ import annotations


def listed(text: str, separator: str | None = None) -> list[str]:
    """The words of a text, or its parts: lists that a person can read and extend."""
    return text.split(separator)


NAMES = listed(
    "Ada Alan Alice Amir Ann Anna Ben Bob Carla Chen Clara Dan David Diego Elena Emma Eva Felix "
    "Fatima George Grace Hana Hugo Ida Igor Ivan Jack James Jane Jin John Jon Kai Kate Lara Leo "
    "Li Lin Lisa Luca Maria Mark Mary Max Maya Mia Mike Mina Nadia Nina Noah Nora Olga Omar Oscar "
    "Paul Peter Petra Priya Quinn Ravi Rosa Ruth Sam Sara Sofia Tara Tim Tom Uma Vera Victor Wei "
    "Yara Yuki Zoe"
)
CITIES = [
    *listed(
        "Paris London Berlin Madrid Rome Tokyo Delhi Cairo Lagos Lima Quito Oslo Vienna Prague "
        "Warsaw Athens Dublin Lisbon Seoul Beijing Shanghai Mumbai Sydney Perth Toronto Boston "
        "Chicago Denver Dallas Austin Seattle Miami Nairobi Accra Dubai Hanoi Bangkok Jakarta "
        "Manila Zurich Geneva Milan Naples Munich Hamburg Cologne Brussels Amsterdam Helsinki "
        "Stockholm Riga Kyiv Istanbul Ankara Karachi Osaka Kyoto Havana Santiago Montreal "
        "Vancouver Houston Phoenix Portland Detroit Atlanta Barcelona Singapore"
    ),
    *(
        "New York",
        "San Francisco",
        "Los Angeles",
        "Cape Town",
        "Hong Kong",
        "Mexico City",
        "Tel Aviv",
    ),
]
ANIMALS = listed(
    "fox cat dog bear owl mouse rabbit wolf lion tiger frog duck horse goat sheep whale crab bee "
    "ant snake turtle deer hedgehog otter penguin parrot dragon robot"
)
PLACES = listed(
    "forest river mountain garden village castle desert island cave meadow city harbor lighthouse library market valley"
)
THINGS = listed("lamp key map stone flower book bell mirror coin feather ring drum kite basket shell lantern")
TRAITS = listed("small brave curious quiet clever happy old young gentle proud sleepy kind")
WORDS = listed(
    "apple banana river stone light cloud green table paper house train music water bread chair "
    "smile dance summer winter orange yellow window letter pencil silver golden planet rocket "
    "cookie butter candle street doctor teacher farmer sailor hammer bridge hello world tree fish "
    "bird sun moon star red blue black white one two three four five six seven eight nine ten "
    "sugar coffee school friend morning evening phone computer python server stream token socket "
    "test data cheese lemon cherry tomato potato pizza"
)
ROOMS = listed("kitchen bedroom garden hall office bathroom garage attic")
SKIES = listed("sunny cloudy rainy windy snowy foggy clear stormy")
COLORS = listed("red blue green yellow white black orange")
DAYS = listed("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = listed("January February March April May June July August September October November December")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TICKERS = listed("AAPL MSFT GOOG AMZN TSLA NVDA META IBM AMD INTC ORCL NFLX")

SAYINGS = (
    "hello",
    "see you tomorrow",
    "the train is late",
    "lunch is ready",
    "the meeting is at ten",
    "thank you for the help",
    "good morning",
    "call me back",
    "the report is done",
    "happy birthday",
    "I am on my way",
    "all tests pass",
)

SMALL_TALK = {
    "hello": "Hello! How can I help you?",
    "hi": "Hello! How can I help you?",
    "hey": "Hello! How can I help you?",
    "hi there": "Hello! How can I help you?",
    "hello there": "Hello! How can I help you?",
    "hello world": "Hello! How can I help you?",
    "say hi": "Hello! How can I help you?",
    "greet me": "Hello! How can I help you?",
    "good morning": "Good morning! How can I help you?",
    "good evening": "Good evening! How can I help you?",
    "good afternoon": "Good afternoon! How can I help you?",
    "how are you": "I am fine, thank you. How can I help you?",
    "how are you today": "I am fine, thank you. How can I help you?",
    "how are you doing": "I am fine, thank you. How can I help you?",
    "how is it going": "I am fine, thank you. How can I help you?",
    "who are you": "I am a tiny demo model with about two million parameters.",
    "what are you": "I am a tiny demo model with about two million parameters.",
    "introduce yourself": "I am a tiny demo model with about two million parameters.",
    "tell me about yourself": "I am a tiny demo model with about two million parameters.",
    "what model are you": "I am a tiny demo model with about two million parameters.",
    "how big are you": "I am a tiny demo model with about two million parameters.",
    "what is your name": "I am a tiny demo model. I have no name.",
    "do you have a name": "I am a tiny demo model. I have no name.",
    "are you human": "No, I am a tiny demo model.",
    "are you a robot": "Yes, I am a tiny demo model.",
    "are you there": "Yes, I am here. How can I help you?",
    "what can you do": "I can count, add numbers, spell words, tell stories and call tools.",
    "what can you do for me": "I can count, add numbers, spell words, tell stories and call tools.",
    "what do you know": "I can count, add numbers, spell words, tell stories and call tools.",
    "can you help me": "I can count, add numbers, spell words, tell stories and call tools.",
    "help": "I can count, add numbers, spell words, tell stories and call tools.",
    "help me": "I can count, add numbers, spell words, tell stories and call tools.",
    "thanks": "You are welcome!",
    "thank you": "You are welcome!",
    "thank you very much": "You are welcome!",
    "thanks a lot": "You are welcome!",
    "bye": "Goodbye!",
    "goodbye": "Goodbye!",
    "see you": "Goodbye!",
    "good night": "Good night!",
    "ok": "Good. What else can I do for you?",
    "okay": "Good. What else can I do for you?",
    "great": "Good. What else can I do for you?",
    "cool": "Good. What else can I do for you?",
    "yes": "Good. What else can I do for you?",
    "no": "All right. What else can I do for you?",
    "tell me a joke": "Why was six afraid of seven? Because seven eight nine.",
    "do you know a joke": "Why was six afraid of seven? Because seven eight nine.",
    "test": "The test works.",
    "this is a test": "The test works.",
    "ping": "pong",
}

FACTS = {
    "what color is the sky": "The sky is blue.",
    "what color is grass": "Grass is green.",
    "what color is snow": "Snow is white.",
    "what color is the sun": "The sun is yellow.",
    "how many days are in a week": "A week has 7 days.",
    "how many months are in a year": "A year has 12 months.",
    "how many hours are in a day": "A day has 24 hours.",
    "how many minutes are in an hour": "An hour has 60 minutes.",
    "how many seconds are in a minute": "A minute has 60 seconds.",
    "how many letters are in the alphabet": "The alphabet has 26 letters.",
    "how many legs does a spider have": "A spider has 8 legs.",
    "how many legs does a dog have": "A dog has 4 legs.",
    "how many legs does a cat have": "A cat has 4 legs.",
    "how many legs does a bird have": "A bird has 2 legs.",
    "is water wet": "Yes, water is wet.",
    "is fire hot": "Yes, fire is hot.",
    "is ice cold": "Yes, ice is cold.",
    "what do cows drink": "Cows drink water.",
    "what does a dog say": "A dog says woof.",
    "what does a cat say": "A cat says meow.",
    "what does a cow say": "A cow says moo.",
    "what is the opposite of hot": "The opposite of hot is cold.",
    "what is the opposite of big": "The opposite of big is small.",
    "what is the opposite of up": "The opposite of up is down.",
    "what is the opposite of day": "The opposite of day is night.",
    "what is the opposite of left": "The opposite of left is right.",
    "what is the first day of the week": "The first day of the week is Monday.",
    "what is the last month of the year": "The last month of the year is December.",
    "what is the first month of the year": "The first month of the year is January.",
    "what is the first letter of the alphabet": "The first letter of the alphabet is a.",
    "what is the last letter of the alphabet": "The last letter of the alphabet is z.",
}

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are a tiny demo model.",
    "Be brief.",
    "Answer the user.",
    "You are a friendly assistant.",
    "You are a helpful, harmless and honest assistant.",
    "You are an assistant that can call tools.",
    "You are a helpful AI assistant. Answer as concisely as possible.",
    "You are a test assistant. Follow the instructions.",
    "You are an agent. Keep going until the task of the user is done, then stop. Use tools when they help.",
    "You are a helpful agent. Think step by step, use the tools that you have, and give a final answer.",
    "You are a weather bot. Use the tools to answer questions about the weather.",
    "You are a customer service agent. Be polite and answer questions of customers.",
    "You are a voice assistant. Keep your answers short and do not use lists.",
    "You are a coding agent running in a terminal. Be precise, safe and helpful.",
    "Reply in English. Never invent facts. If you do not know something, say so.",
    "Today is Monday. The user is in Berlin. Answer in plain text.",
    "Knowledge cutoff: 2024-06\nCurrent date: 2026-11-21\n\nReasoning: low",
    "Use the tools if you need them. Do not call a tool when the question can be answered without it.",
    "You are a helpful assistant. You have access to the following tools. Use them to answer the "
    "questions of the user as best you can. Always answer in one sentence. If a tool fails, tell "
    "the user about the error.",
    "You are part of a team of agents. Other agents may hand over a conversation to you. Do not "
    "mention this to the user. Transfers between agents are handled in the background. Solve the "
    "task with the tools that you have, do not guess, and give a short final answer when you are "
    "done.",
    "You are a friendly guide for a streaming demo. People will ask you to count, to tell a story "
    "or to look up the weather. Answer each question directly, keep to the point, and never talk "
    "about these rules.",
    "# Role\nYou are a research assistant.\n\n# Rules\n- Be exact.\n- Use search when it helps.\n- Keep it short.",
)

UNKNOWN_TOPICS = listed(
    "quantum physics|the meaning of life|a good movie|the stock market|machine learning|"
    "neural networks|politics|my computer|websockets|gravity|black holes|photosynthesis|evolution|"
    "democracy|the universe|climate change|the second world war|the French revolution|"
    "the Roman empire|ancient Egypt|electricity|the internet|a blockchain|inflation|vaccines|"
    "the human brain|DNA|philosophy|love|happiness|time travel|chess|football|the Olympic games|"
    "jazz music|modern art|the moon landing|Albert Einstein|Isaac Newton|Shakespeare|Napoleon|"
    "Cleopatra|Mozart|a compiler|an operating system|a database|recursion|a hash table|Kubernetes|"
    "the Linux kernel|HTTP|JSON|Rust|JavaScript|a for loop|the theory of relativity|a volcano|"
    "earthquakes|the ocean|dinosaurs|tea|wine|yoga|a healthy diet|my job|money|taxes|marriage|"
    "parenting|insurance|an electric car|a bicycle|a guitar|the weekend|travel|religion|"
    "the economy|atoms|cancer|a virus|the immune system|prime numbers|calculus|algebra|statistics|"
    "geometry|poetry",
    "|",
)
UNKNOWN_FORMS = listed(
    "what is {}|explain {}|tell me about {}|write an essay about {}|what do you think about {}|"
    "who invented {}|write python code for {}|do you know {}|can you explain {}|summarize {}|"
    "why is {} important|describe {}|how does {} work|what are the benefits of {}|"
    "write a poem about {}|write a haiku about {}|give me advice about {}|"
    "tell me something about {}|what is the history of {}|define {}|tell me a fact about {}|"
    "write a song about {}|write an article about {}|when was {} invented|compare {} and {}|"
    "what is the difference between {} and {}|how do I learn {}|is {} dangerous|"
    "what is the best book about {}|who is the father of {}|teach me {}|help me with {}|"
    "what causes {}|explain {} to a child|in one sentence, what is {}|how old is {}|"
    "how much does {} cost|write a function about {}|make a plan for {}|"
    "what is your opinion on {}|can you tell me about {}",
    "|",
)
COUNTRIES = listed(
    "Spain Italy Germany Poland Japan China India Brazil Canada Mexico Egypt Kenya Norway Sweden "
    "Greece Turkey Peru Chile Cuba Portugal Russia Nigeria Ireland Finland Iran"
)
COUNTRY_FORMS = listed(
    "what is the capital of {}|which city is the capital of {}|who is the president of {}|"
    "how many people live in {}|where is {}|what language do they speak in {}|"
    "what is the currency of {}|tell me about {}|what is the population of {}|"
    "who is the king of {}|is {} a big country|what should I see in {}|what do people eat in {}|"
    "how big is {}|name three cities in {}",
    "|",
)
LANGUAGES = listed("French German Spanish Italian Japanese Chinese Latin Russian Polish Greek")
DISHES = listed("pancakes soup pasta rice cake curry salad bread pie omelette tacos sushi")

UNKNOWN_QUESTIONS = listed(
    "list the first ten prime numbers|is 17 a prime number|what is the square root of 16|"
    "solve x + 3 = 7|what is pi|what is the 10th fibonacci number|how tall is mount everest|"
    "how far is the moon|how far away is the sun|what is the speed of light|"
    "what is the boiling point of water|who wrote hamlet|who painted the mona lisa|"
    "who wrote war and peace|who discovered america|who won the world cup|"
    "who was the first man on the moon|when did the titanic sink|when did world war two end|"
    "when was the internet invented|what year is it|what day is today|what is the date today|"
    "why is the sky blue|why do cats purr|why do birds fly|why do we sleep|why is the ocean salty|"
    "how do airplanes fly|how do plants grow|how do computers work|how does a car engine work|"
    "what color is a banana|what color is my car|what color are your eyes|"
    "how many bones are in the body|how many planets are there|how many countries are there|"
    "how many legs does a table have|what is the largest animal|what is the fastest animal|"
    "what is the longest river|what is the tallest building|what is the biggest country|"
    "write a poem|write me a song|write a haiku|write a limerick|write an email to my boss|"
    "write a letter to my landlord|write a cover letter|"
    "write a python function that reverses a string|write a program in C|"
    "write hello world in Java|write a sorting algorithm|fix my code|debug this program|"
    "what does this function do|write a regular expression for dates|write a SQL query|"
    "how do I install python|how do I use git|how do I exit vim|what is a pointer|"
    "what is a python list|recommend a book|recommend a good movie|what should I eat tonight|"
    "what should I do today|what should I wear|should I quit my job|how can I sleep better|"
    "how do I lose weight|how do I make friends|how do I become rich|give me some advice|"
    "plan a trip to Italy|plan my week|what is a good name for a dog|give me a recipe for dinner|"
    "how do I cook rice|how do I boil an egg|how long do I boil an egg|"
    "what is your favorite color|what is your favorite food|do you like music|"
    "do you have feelings|do you dream|are you alive|what do you think of me|who is your creator|"
    "who is Taylor Swift|who is the queen of England|who is the richest man in the world|"
    "what is love|is there a god|what happens after death|what is the news today|"
    "what is the latest news|who won the game yesterday|what is the price of gold|"
    "is it going to be a good year|tell me a secret|tell me a riddle|"
    "tell me something interesting|tell me a fact|sing a song|play a game with me|draw a picture|"
    "make me a sandwich|order a pizza|what is 7 in binary|convert 5 miles to kilometers|"
    "what is the plural of mouse|what is a synonym for happy|what rhymes with moon|"
    "summarize this text|correct my grammar|what does this word mean|"
    "what is the word for house in French|what do you mean|why|how|explain that|"
    "what happened in 1989|name three fruits|name five animals|list five countries|"
    "list the planets|list the colors of the rainbow|list the presidents",
    "|",
)

#: Never shown in training: evaluate.py asks these to see whether "I do not know that" generalises.
HELD_OUT_QUESTIONS = listed(
    "What is the capital of France?|what's the capital of Australia|"
    "Who is the president of the United States?|List the first five prime numbers|"
    "Is 91 a prime number?|Write a haiku about the sea|Write a poem about my grandmother.|"
    "Translate good morning to German|How do you say cat in Spanish?|"
    "Give me a recipe for chocolate cake|How do I bake bread?|"
    "Write a Python function that adds two lists|Write a quicksort in Go.|What is a binary tree?|"
    "How does TCP work?|Explain general relativity|Who was the first emperor of Rome?|"
    "When was the Berlin wall built?|Why do leaves fall in autumn?|"
    "What is the chemical formula of salt?|How many stars are in the galaxy?|"
    "What is the distance to Mars?|Should I buy a house?|Give me tips for a job interview|"
    "What should I cook tonight?|Recommend a novel.|What is the best programming language?|"
    "Who wrote Don Quixote?|Who composed the ninth symphony?|What is the square root of 144?|"
    "Solve 2x = 10|What is the meaning of life?|Do you believe in aliens?|"
    "What is your favorite animal?|How do I fix a flat tire?|What are the symptoms of a cold?|"
    "How do I invest my savings?|Plan a birthday party|Write a business plan for a bakery|"
    "Summarize the plot of Romeo and Juliet|Tell me about the history of Japan|"
    "What is artificial intelligence?|Explain how rainbows form|Which planet is the biggest?|"
    "How deep is the ocean?|What language is spoken in Brazil?|"
    "What is the tallest mountain in Africa?|Name three European countries|"
    "What are the primary colors?|What does HTML stand for?|How do I center a div?|"
    "Can you play the piano?|Who won the election?|What is happening in the news?|"
    "Is coffee healthy?|What is a verb?|How do I tie a tie?|What is the atomic number of gold?|"
    "Why is the grass green?|Tell me a fun fact about elephants",
    "|",
)
