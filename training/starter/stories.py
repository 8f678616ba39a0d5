"""Stories from templates: short ones, and long ones in chapters."""

from __future__ import annotations

import random
from dataclasses import dataclass

from training.starter.lexicon import ANIMALS, NAMES, PLACES, THINGS, TRAITS


def article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


@dataclass(frozen=True)
class Cast:
    """Who and what a story is about: chosen once, so that chapters fit together."""

    hero: str
    animal: str
    trait: str
    friend: str
    friend_animal: str
    place: str
    thing: str

    @classmethod
    def draw(cls, rng: random.Random, animal: str | None = None, place: str | None = None) -> Cast:
        animal = animal or rng.choice(ANIMALS)
        hero, friend = rng.sample(NAMES, 2)
        other = rng.choice([a for a in ANIMALS if a != animal])
        return cls(
            hero,
            animal,
            rng.choice(TRAITS),
            friend,
            other,
            place or rng.choice(PLACES),
            rng.choice(THINGS),
        )


def _opening(rng: random.Random, c: Cast) -> list[str]:
    return [
        f"Once upon a time there was {article(c.trait)} {c.animal} named {c.hero} who lived near the {c.place}.",
        rng.choice(
            [
                f"One morning {c.hero} found a shiny {c.thing} on the path.",
                f"One evening {c.hero} heard a strange sound and found an old {c.thing}.",
            ]
        ),
        f"{c.hero} did not know what to do with it, so {c.hero} asked {c.friend} the {c.friend_animal} for help.",
        rng.choice(
            [
                f'"This {c.thing} is magic," said {c.friend}. "Take it home and keep it safe."',
                f'"I lost this {c.thing} long ago," said {c.friend}. "Thank you for finding it."',
            ]
        ),
    ]


def _ending(rng: random.Random, c: Cast) -> list[str]:
    return [
        rng.choice(
            [
                f"From that day on, {c.hero} and {c.friend} were good friends.",
                f"{c.hero} and {c.friend} walked home together and shared a warm supper.",
            ]
        ),
        "The end.",
    ]


def story_text(rng: random.Random, c: Cast) -> str:
    return " ".join(_opening(rng, c) + _ending(rng, c))


def _chapter(rng: random.Random, c: Cast, place: str, thing: str) -> list[str]:
    """One stop of the journey: arrival, trouble, help, and the way on."""
    return [
        rng.choice(
            [
                f"The next day {c.hero} and {c.friend} walked to the {place}.",
                f"Early in the morning {c.hero} and {c.friend} set out for the {place}.",
            ]
        ),
        rng.choice(
            [
                f"It rained all day, but {c.hero} was not afraid.",
                f"The way was long, but {c.friend} sang a song.",
                "The wind was cold and the sky was dark.",
            ]
        ),
        f"There they looked for a {thing}, because a {thing} could open the last door.",
        rng.choice(
            [
                f'"Do you see it?" asked {c.friend}. "Not yet," said {c.hero}, "but I will not give up."',
                f'"I am tired," said {c.friend}. "Let us rest a little," said {c.hero}, "and then go on."',
            ]
        ),
        rng.choice(
            [
                f"At last {c.hero} found the {thing} under a tree and put it into the bag.",
                f"At last {c.friend} saw the {thing} behind a stone and gave it to {c.hero}.",
            ]
        ),
        "They made a small fire, ate some bread and told each other jokes until they fell asleep.",
    ]


def long_story_text(rng: random.Random, c: Cast) -> str:
    """A story in chapters of 400 to 700 tokens: long enough to be interrupted."""
    stops = rng.randint(2, 4)
    places = rng.sample([p for p in PLACES if p != c.place], stops)
    things = rng.sample([t for t in THINGS if t != c.thing], stops)
    chapters = [_opening(rng, c)]
    chapters += [_chapter(rng, c, place, thing) for place, thing in zip(places, things, strict=True)]
    chapters.append([f"In the end they came back to the {c.place} and opened the last door.", *_ending(rng, c)])
    return "\n\n".join(f"Chapter {i}. " + " ".join(lines) for i, lines in enumerate(chapters, 1))
