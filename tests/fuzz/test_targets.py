"""Every committed input of the fuzz targets, run as a plain test: the corpora, and past crashes."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.places import TARGETS, check_of, corpus_of, crashes_of, inputs_of
from tests.fuzz.seeds import seeds_of

CORPORA_BYTES_MAX = 500 * 1024
RANDOM_INPUTS = 200


def run(target: str, inputs: list[tuple[str, bytes]]) -> None:
    """Run a target's check; the first input that fails is named."""
    check = check_of(target)
    for name, data in inputs:
        try:
            check(data)
        except BaseException as error:
            error.add_note(f"input: {name}")
            raise


@pytest.mark.timeout(60)
@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_has_no_finding(target: str) -> None:
    inputs = inputs_of(corpus_of(target))
    assert inputs, "the corpus is missing"
    run(target, [(str(path), path.read_bytes()) for path in inputs])


@pytest.mark.parametrize("target", TARGETS)
def test_what_failed_once_does_not_fail_again(target: str) -> None:
    run(target, [(str(path), path.read_bytes()) for path in inputs_of(crashes_of(target))])


@pytest.mark.parametrize("target", TARGETS)
def test_the_seeds_have_no_finding(target: str) -> None:
    seeds = seeds_of(target)
    assert len(set(seeds)) > 20
    run(target, [(f"seed {at}", seed) for at, seed in enumerate(seeds)])


@pytest.mark.parametrize("target", TARGETS)
def test_random_bytes_have_no_finding(target: str) -> None:
    chance = random.Random(target)
    inputs = [chance.randbytes(chance.randrange(200)) for _ in range(RANDOM_INPUTS)]
    run(target, [(repr(data), data) for data in inputs])


def test_the_corpora_are_small() -> None:
    folders = [folder(target) for target in TARGETS for folder in (corpus_of, crashes_of)]
    sizes = [path.stat().st_size for folder in folders for path in inputs_of(folder)]
    assert sum(sizes) <= CORPORA_BYTES_MAX
