"""The Fisher matrix of a network, against the whole matrix written down entry by entry."""

from __future__ import annotations

import numpy as np
import pytest
from networks import NEEDED, tiny_language

from ethostat.errors import InvalidInput
from ethostat.experiments.curvature import Text, curvature

pytestmark = NEEDED
TEXTS = [Text((1, 4, 2, 7), 2), Text((3, 3, 9), 1)]


def whole_fisher(network, texts):
    """F by enumeration: over positions and every token, the token's probability times its score's outer product."""
    import torch

    weights = list(network.parameters())
    total, positions = 0.0, 0
    for text in texts:
        logs = network(torch.tensor([text.ids])).logits[0].log_softmax(-1)[text.start - 1 :]
        for row in logs:
            positions += 1
            for log in row:
                score = torch.autograd.grad(log, weights, retain_graph=True)
                flat = torch.cat([one.flatten() for one in score])
                total = total + log.exp().detach() * torch.outer(flat, flat)
    return (total / positions).numpy()


@pytest.mark.parametrize("tied", [True, False])
def test_the_eigenvalues_are_those_of_the_matrix_written_down(tied):
    """The five largest eigenvalues equal those of F summed over every token, to seven digits; N and T are counted."""
    language = tiny_language(tied=tied)
    truth = np.linalg.eigvalsh(whole_fisher(language.network, TEXTS))[::-1]

    found = curvature(language, TEXTS, steps=25, probes=2)

    assert found.eigenvalues == pytest.approx(truth[:5], rel=1e-6)
    assert (found.parameters, found.positions) == (sum(p.numel() for p in language.network.parameters()), 6)
    assert found.critical_rate == pytest.approx(truth[0] / 2 * np.log(found.parameters))


def test_the_trace_lies_in_its_interval():
    """With 40 probes the interval holds the trace of the matrix written down and is narrower than it."""
    language = tiny_language(1)
    truth = np.trace(whole_fisher(language.network, TEXTS))

    found = curvature(language, TEXTS, steps=1, probes=40).trace

    assert found.low <= truth <= found.high
    assert found.half_width < truth


def test_few_steps_never_say_too_much():
    """Stopped early, the largest eigenvalue is at most the true one and no farther from one than its residual."""
    language = tiny_language(2)
    truth = np.linalg.eigvalsh(whole_fisher(language.network, TEXTS))

    found = curvature(language, TEXTS, steps=4, probes=2)

    assert found.eigenvalues[0] <= truth[-1] * (1 + 1e-6)
    assert np.abs(truth - found.eigenvalues[0]).min() <= found.residuals[0] * (1 + 1e-6)


def test_a_network_written_differently_has_another_largest_eigenvalue():
    """Doubling one matrix and halving the next leaves every answer as it was and moves lambda_max and gamma_crit."""
    import torch

    one, other = tiny_language(3), tiny_language(3)
    with torch.no_grad():
        for layer in other.network.model.layers:
            layer.mlp.up_proj.weight.mul_(4)
            layer.mlp.down_proj.weight.div_(4)
    read = torch.tensor([[1, 2, 3, 4]])

    first, second = (curvature(each, TEXTS, steps=12, probes=2) for each in (one, other))

    assert torch.allclose(one.network(read).logits, other.network(read).logits)
    assert abs(second.critical_rate / first.critical_rate - 1) > 0.1


@pytest.mark.parametrize("texts", [[], [Text((1, 2), 0)], [Text((1, 2), 3)]])
def test_texts_without_a_position_are_refused(texts):
    """No text, or one whose first position is not among its tokens, is invalid input."""
    with pytest.raises(InvalidInput, match="needs texts"):
        curvature(tiny_language(), texts)
