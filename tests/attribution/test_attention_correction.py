"""The corrected map against its recipe written out, and with sinks planted where they are known."""

import re
from dataclasses import replace

import numpy as np
import pytest
from tiny_gemma import sampled

from radiolucent.attribution import attention_correction
from radiolucent.attribution.attention import attention, attentions
from radiolucent.attribution.attention_correction import from_neighbours, massive, shares
from radiolucent.attribution.maps import EmptyMap
from radiolucent.attribution.targets import scores, soft_rows
from radiolucent.errors import MalformedInput
from radiolucent.vlm.contributions import Contributions, contributions
from radiolucent.vlm.prior_films import Prior, content_free_prior, prior_films
from radiolucent.vlm.types import AttentionRows, Target

CELLS, SINK, LESION = 16, 5, 10
TARGET = Target((2, 5), label="effusion")


def plant(monkeypatch, *, held, carried, on_films=True, in_words=True, images=1):
    """Rows of the tiny model's shape: the sink holds ``held`` of the image's weight and carries ``carried``."""
    tokens = 6
    weights = np.full((3, 2, tokens, images * CELLS), 0.01, dtype=np.float32)
    weights[..., LESION] = 0.04
    rest = weights[0, 0, 0].sum() - 0.01
    weights[..., SINK] = held / (1 - held) * rest
    if not in_words:
        weights[:, :, :2, SINK] = 1e-6
    norms = np.ones((3, 2, images * CELLS), dtype=np.float32)
    norms[..., SINK] = carried
    rows = AttentionRows(weights, *np.zeros((2, 3, 2, tokens), np.float32), ("sliding", "global", "sliding"))
    films = np.full((3, 2, images * CELLS), 0.01, dtype=np.float32)
    if on_films:
        films[..., SINK] = weights[0, 0, -1, SINK]
    read = Contributions(rows, norms, np.ones((3, tokens), np.float32))
    monkeypatch.setattr(attention_correction, "contributions", lambda *args, **options: read)
    monkeypatch.setattr(
        attention_correction, "content_free_prior", lambda *args: (Prior(films, films * norms), args[2])
    )
    monkeypatch.setattr(attention_correction, "HARMLESS", 100.0)  # the tiny model needs every cell
    return weights


@pytest.mark.parametrize("carried", [1e-3, 1.0], ids=["no operation", "broadcast"])
def test_a_planted_sink_is_removed_and_its_mass_is_printed(monkeypatch, carried):
    weights = plant(monkeypatch, held=0.6, carried=carried)
    assert weights.mean(axis=(0, 1, 2)).argmax() == SINK  # where bare attention would point
    model, features, generation = sampled(1)
    made = attention(model, features, generation, TARGET, corrected=True, prior_films=4)
    values = made.values.reshape(4, 4)
    assert made.values.argmax() == LESION and values[2, 2] > 3 * abs(np.delete(made.values.ravel(), LESION)).max()
    around = [values[r, c] for r in range(0, 3) for c in range(0, 3) if (r, c) != (1, 1)]
    assert values[1, 1] == pytest.approx(np.mean(around), rel=1e-5)
    assert "row 2, column 2" in made.note and "removed with 60.0% of the attention" in made.note
    assert "第 2 行第 2 列" in made.note and "已移除，其占图像注意力的 60.0%" in made.note
    assert made.forwards == 1 + 4 + 2  # own pass, four films, the picture as it is and with the sink hidden
    assert made.units == "share of attention" and made.claim == "attended"


@pytest.mark.parametrize("missing", ["on_films", "in_words"])
def test_a_place_is_no_sink_where_it_is_massive_on_this_picture_or_in_some_words_alone(monkeypatch, missing):
    plant(monkeypatch, held=0.6, carried=1.0, **{missing: False})
    made = attention(*sampled(1), TARGET, corrected=True)
    assert "No cell draws attention" in made.note and "没有网格" in made.note
    if missing == "on_films":
        assert made.values.argmax() == SINK  # it may well be the lesion


def test_sinks_whose_hiding_costs_the_words_are_kept_and_the_note_says_so(monkeypatch):
    plant(monkeypatch, held=0.6, carried=1.0)
    monkeypatch.setattr(attention_correction, "HARMLESS", 0.2)
    model, features, generation = sampled(1)
    made = attention(model, features, generation, TARGET, corrected=True)
    assert "they were kept" in made.note and "予以保留" in made.note and "removed with" not in made.note
    hidden = soft_rows(features).clone()
    hidden[0, SINK] = soft_rows(features)[0].mean(dim=0)
    loss = scores(model, generation, soft_rows(features), [TARGET]) - scores(model, generation, hidden, [TARGET])
    assert float(re.search(r"costs the words (-?[\d.]+) nats", made.note)[1]) == pytest.approx(float(loss), abs=0.006)
    assert float(loss) > 0.2


def test_the_map_is_the_recipe_written_out():
    case = sampled(2)
    model, features, generation = case
    target = Target((2, 5), foil=(300, 301))
    made = attention(model, features, generation, target, corrected=True, prior_films=3)
    assert "No cell draws attention" in made.note
    prior, _ = content_free_prior(model, generation, 3)

    def corrected(answer, start, stop):
        read = contributions(model, generation, features.soft_tokens, token_ids=answer)
        own = read.lengths()[:, :, start:stop].mean(axis=2)
        seen = (read.rows.image[:, :, start:stop] > 0).any(axis=2)
        own, there = own.mean(axis=(0, 1)), (prior.contribution * seen).mean(axis=(0, 1))
        return own / own.sum() - there / there.sum()

    expected = corrected(generation.token_ids, 2, 5)
    expected = expected - corrected(np.concatenate([generation.token_ids[:2], target.foil]), 2, 4)
    np.testing.assert_allclose(made.values.ravel(), expected, atol=1e-6)
    plain = attention(model, features, generation, Target((2, 5)), corrected=True, prior_films=3)
    assert made.values.sum() == pytest.approx(0, abs=1e-5) and plain.values.sum() == pytest.approx(0, abs=1e-5)


def test_the_prior_takes_away_the_whole_map_of_a_film_without_content():
    model, features, generation = sampled(1)
    film = replace(features, soft_tokens=prior_films(model, 1))
    behind_the_prompt = Target((0, 1))
    attention(model, features, generation, behind_the_prompt, corrected=True, prior_films=1)
    with pytest.raises(EmptyMap):
        attention(model, film, generation, behind_the_prompt, corrected=True, prior_films=1)


def test_several_targets_share_the_prior_and_the_passes():
    model, features, generation = sampled(1)
    targets = [Target((1, 2)), TARGET, Target((2, 5), foil=(300, 301)), Target((3, 4), foil=(302,))]
    made = attentions(model, features, generation, targets, corrected=True, prior_films=2)
    assert isinstance(made[3], EmptyMap)
    for one, target in zip(made[:3], targets, strict=False):
        alone = attention(model, features, generation, target, corrected=True, prior_films=2)
        np.testing.assert_allclose(one.values, alone.values, atol=1e-7)
        assert alone.forwards == 1 + (target.foil is not None)  # the films' rows are remembered for the prompt
    assert made[0].forwards in (2, 4)  # the answer and the foil, and the films where they were not yet read


def test_choices_are_honoured_and_checked():
    case = sampled(1)
    model, features, generation = case
    kept = replace(generation, rows=model.replay(generation, features, capture=True).rows)
    narrow = attention(model, features, kept, TARGET, corrected=True, prior_films=2, layers="global", heads=[1])
    wide = attention(model, features, kept, TARGET, corrected=True, prior_films=2)
    assert not np.allclose(narrow.values, wide.values, atol=1e-4)
    raw = attention(model, features, kept, TARGET).values
    assert raw.min() >= 0 and attention(model, features, kept, TARGET).note == ""
    for options in ({"prior_films": 0}, {"layers": "none"}, {"heads": [9]}, {"reduce": "sum"}):
        with pytest.raises(MalformedInput):
            attention(*case, TARGET, **{"corrected": True, "prior_films": 2, **options})


def test_holes_are_filled_ring_by_ring_with_the_mean_of_known_neighbours():
    rng = np.random.default_rng(0)
    grids = rng.random((2, 5, 5))
    holes = np.zeros_like(grids, dtype=bool)
    holes[0, 1:4, 1:4] = True  # its centre has no known neighbour at first
    holes[1, 0, 0] = True
    filled = from_neighbours(grids, holes)
    assert filled[1, 0, 0] == pytest.approx(np.mean([grids[1, 0, 1], grids[1, 1, 0], grids[1, 1, 1]]))
    assert filled[0, 1, 1] == pytest.approx(
        np.mean([grids[0, r, c] for r in range(3) for c in range(3) if not holes[0, r, c]])
    )
    ring = [filled[0, r, c] for r in range(1, 4) for c in range(1, 4) if (r, c) != (2, 2)]
    assert filled[0, 2, 2] == pytest.approx(np.mean(ring))
    np.testing.assert_array_equal(filled[~holes], grids[~holes])
    assert (from_neighbours(grids[:1], np.ones((1, 5, 5), dtype=bool)) == 0).all()


def test_shares_leave_sinks_out_and_massive_is_judged_within_an_image():
    weights = np.array([1.0, 2, 3, 94])
    np.testing.assert_allclose(shares(weights, weights > 50), [1 / 6, 2 / 6, 3 / 6, 0])
    assert (shares(np.zeros(4), np.zeros(4, bool)) == 0).all()
    two = np.array([1.0, 1, 1, 9.9, 100, 100, 100, 1000])
    np.testing.assert_array_equal(massive(two, (2, 2, 2)), [False] * 7 + [True])
    assert not massive(np.array([0.0, 0, 0, 1]), (1, 2, 2)).any()  # an image that is hardly seen
