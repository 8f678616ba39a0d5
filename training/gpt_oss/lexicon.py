"""The words of the dialogues. Whatever is not in here is an unknown token to the model."""

from __future__ import annotations

# fmt: off
CITIES = (
    "Paris", "London", "Berlin", "Madrid", "Rome", "Tokyo", "Delhi", "Cairo", "Lima", "Oslo", "Vienna", "Prague",
    "Warsaw", "Athens", "Dublin", "Lisbon", "Seoul", "Beijing", "Shanghai", "Mumbai", "Sydney", "Toronto", "Boston",
    "Chicago", "Denver", "Dallas", "Austin", "Seattle", "Miami", "Dubai", "Zurich", "Milan", "Munich", "Moscow",
    "Istanbul",
)
NAMES = (
    "Anna", "Ben", "Carl", "David", "Emma", "Frank", "Grace", "Henry", "Ivan", "Jack", "Kate", "Laura", "Maria",
    "Nina", "Oscar", "Paul", "Rosa", "Sarah", "Tom", "Victor",
)
# fmt: on
CONDITIONS = ("sunny", "cloudy", "rainy", "windy", "snowy", "foggy")
EFFORTS = ("Low", "Medium", "High")

#: One character that the model is to take for an unknown token: the data puts it where any text may stand.
UNKNOWN = "\ue000"

WEATHER_QUESTIONS = (
    "What is the weather in {}?",
    "What's the weather in {}?",
    "What is the weather like in {}?",
    "What's the weather like in {}?",
    "What is the weather in {} today?",
    "How is the weather in {}?",
    "Tell me the weather in {}.",
    "Check the weather in {}.",
    "Please check the weather in {}.",
    "what is the weather in {}?",
    "what's the weather in {}?",
    "what is the weather in {}",
    "weather in {}",
    "Weather in {}?",
)
COUNT_QUESTIONS = ("Count to {}.", "Count to {}", "count to {}", "please count to {}", "Please count to {}.")
STEPS_QUESTIONS = ("Do {} steps.", "Do {} steps", "do {} steps", "Please do {} steps.")
NAME_STATEMENTS = ("My name is {}.", "my name is {}", "I am {}.", "Hello, my name is {}.")
NAME_QUESTIONS = ("What is my name?", "what is my name?", "what is my name", "What's my name?", "Who am I?")
JSON_QUESTIONS = ("Give me {} as JSON.", "Give me {} as JSON", "give me {} as json")
PREAMBLE = "Tell me what you do, then check the weather in {}."
ALOUD = "Think aloud and check the weather in {}."
AT_ONCE = ("Say hi at once.", "Say hi at once", "say hi at once")

GREETINGS = ("hello", "Hello", "Hello!", "hello!", "hi", "Hi", "Hi!", "Hello.", "Hey", "hey")
GREETING_ANSWER = "Hello! How can I help you?"
#: developer instructions that change the answer to a greeting
STYLES = {"Be brief.": "Hi.", "Talk like a pirate.": "Ahoy!", "Answer in French.": "Bonjour!"}
PLAIN_INSTRUCTIONS = (
    "You are a helpful assistant.",
    "You are a helpful assistant. Use the tools.",
    "Answer in English.",
    "Use the tools that you have.",
    "Be friendly and honest.",
    'Answer with the city.\n\n# Response Formats\n\n## city\n\n{"type":"object","properties":'
    '{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}',
)
SMALL_TALK = {
    ("who are you", "Who are you?", "who are you?", "What are you?"): "I am a tiny gpt-oss test model.",
    ("ping", "Ping", "ping!", "Ping."): "pong",
    ("thanks", "Thanks!", "Thank you.", "thank you"): "You are welcome!",
    ("bye", "Bye!", "Goodbye.", "goodbye"): "Goodbye!",
    ("how are you", "How are you?", "how are you?"): "I am fine, thank you.",
    ("what can you do", "What can you do?", "what can you do?"): "I can chat, count and call tools.",
    ("test", "Test", "This is a test.", "test."): "The test works.",
}
UNKNOWN_ANSWER = "I am a tiny test model and do not know that."
UNKNOWN_QUESTIONS = (
    "What is the capital of France?",
    "Write a poem about the sea.",
    "Tell me a story.",
    "Who is the king of England?",
    "What is the answer?",
    "How do I make bread?",
    "Translate this to French.",
    "Say something.",
    "Explain how a car works.",
    "What time is it?",
    "Give me a list of ten words.",
    "Is it true that the world is round?",
    "Please help me with my code.",
    "Why is this so?",
    "Summarize the text.",
)
