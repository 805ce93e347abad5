"""Ways in which a protocol fails are named from its statistics, and only where there is enough to tell."""

import math

import pytest

from heliograph.analysis.diagnosis import Diagnosis, diagnose

THREE = math.log2(3)


@pytest.mark.parametrize(
    ("entropy_bits", "information_bits", "expected"),
    [
        (None, None, Diagnosis.SILENT),
        (float("nan"), None, Diagnosis.SILENT),
        (0.0, 0.0, Diagnosis.COLLAPSED),
        (0.1, 0.1, Diagnosis.COLLAPSED),
        (1.9, 0.03, Diagnosis.BABBLING),
        (1.9, 1.5, Diagnosis.INFORMATIVE),
        (1.0, 0.3, Diagnosis.INFORMATIVE),
    ],
)
def test_diagnoses(entropy_bits, information_bits, expected) -> None:
    found = diagnose(entropy_bits, information_bits, baseline_bits=0.01, meaning_entropy_bits=THREE, num_utterances=600)
    assert found is expected


def test_one_meaning_cannot_be_told_apart() -> None:
    found = diagnose(1.0, 0.0, baseline_bits=0.0, meaning_entropy_bits=0.0, num_utterances=100)
    assert found is Diagnosis.UNKNOWN


def test_what_chance_explains_already_cannot_be_told() -> None:
    """Ten predators on 20 x 20 cells: of 8.2 bits in so few utterances 7.5 come by chance, and all others are told."""
    some = {"meaning_entropy_bits": math.log2(400), "num_utterances": 20_000}
    assert diagnose(12.6, 8.23, baseline_bits=7.53, **some) is Diagnosis.INFORMATIVE
    assert diagnose(12.6, 7.53, baseline_bits=7.53, **some) is Diagnosis.BABBLING
    assert diagnose(12.0, 3.0, baseline_bits=3.0, meaning_entropy_bits=3.0, num_utterances=80) is Diagnosis.UNKNOWN


def test_a_lucky_handful_is_not_called_informative() -> None:
    """Five utterances may line up by chance; five hundred that tell as much do not."""
    lucky, sure = (
        diagnose(1.5, 0.9, baseline_bits=baseline, meaning_entropy_bits=1.5, num_utterances=number)
        for baseline, number in ((0.58, 5), (0.006, 500))
    )
    assert (lucky, sure) == (Diagnosis.UNKNOWN, Diagnosis.INFORMATIVE)
