"""summarise: what a Measurement says where little is known, and whose estimator it uses."""

import pytest

from ethostat.maths.entropy import miller_madow
from ethostat.measurement import Identity, Measurement, Provenance
from ethostat.response import Prompt, Verdict
from ethostat.summary import summarise
from ethostat.taxonomy import FIVE_GOALS

SOURCE = Provenance(
    model="tiny",
    taxonomy=Identity("five goals", "0"),
    classifier=Identity("by hand", "0"),
    prompts=Identity("questions", "0"),
    prompt_count=3,
)


def measured(*answers: str, **options) -> Measurement:
    """One prompt an argument, whose letters are the numbers of its responses' goals."""
    prompts = [Prompt.from_text(f"Question {place}?", id=f"p{place}") for place in range(len(answers))]
    verdicts = [
        Verdict.from_goal(FIVE_GOALS, f"g{goal}", prompt_id=prompt.id, response_id=f"{prompt.id}/{place}")
        for prompt, goals in zip(prompts, answers, strict=True)
        for place, goal in enumerate(goals)
    ]
    return summarise(verdicts, prompts=prompts, taxonomy=FIVE_GOALS, provenance=SOURCE, **options)


@pytest.mark.parametrize("answers", [("1122", "1", "3"), ("1122",), ("1", "3"), ("1122", "")])
def test_one_repeated_prompt_has_no_variance_to_divide(answers: tuple[str, ...]) -> None:
    """Where fewer than two prompts have two responses the decomposition is left out, and the rest stands."""
    found = measured(*answers)

    assert found.variance is None
    assert found.pooled_entropy.is_defined


def test_even_answers_have_a_variance_to_divide() -> None:
    """Prompts that spread evenly over all goals leave V at 0; the parts still sum to 1."""
    variance = measured("12345", "12345", "12345").variance

    assert variance.sampling + variance.prompts + variance.classifier == pytest.approx(1)


def test_the_named_estimator_counts_in_all_three_numbers() -> None:
    """With an estimator named, pooled is still within plus between."""
    found = measured("11112", "11133", "11111", "33331", estimator=miller_madow)

    assert "Miller-Madow" in found.between_prompts.method
    assert found.entropy.value + found.between_prompts.value == pytest.approx(found.pooled_entropy.value)
