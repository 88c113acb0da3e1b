"""The sentences of calib's errors hold their facts."""

import pickle

import pytest

from routecal.calib import checkpoint_errors, decision_errors, errors

FACTS = {
    "UnknownName": ("reward", "x", ("brier", "spherical")),
    "PolicyMapUnusable": ("Standard_Query=medium", "names no model for Complex_Query", "add Complex_Query=MODEL"),
    "NoInterval": ("ece", "of", ("brier", "auroc")),
    "InvalidProbability": ("p", 3, 1.5),
    "InvalidLabel": ("y", 3, 2.0),
    "LengthMismatch": ("p", 3, "y", 4),
    "ShapeMismatch": ({"p": (3, 1), "y": (3,)}, "one value per row"),
    "OneClass": ("train", 40, 1),
    "OnePolicy": (40, "MEDIUM"),
    "TooFewExamples": (29, 30),
    "NonFinite": ("hidden", (2, 5), 40),
    "Collapsed": ("rl", 0.0001, 0.25),
    "OutOfRange": ("n_bins", 0, "at least 1"),
    "GradeUnknown": ("medium", 3, 40),
    "PriceUnknown": ("large", 3, 40),
    "InvalidCost": ("large", 3, -1.0),
    "NothingToSave": (40,),
    "OutOfReach": ("a budget of 3 USD", "all-medium costs 4 USD", "4 USD"),
    "NoOutcomeHead": ("head",),
    "ColumnMissing": ("verbal", "extract it"),
    "ChosenOnTest": ("a block is chosen", 7),
    "NotBinary": ("continuous",),
    "FeatureMismatch": ("width", 6, 5),
    "CheckpointMissing": ("router", "config.json"),
    "CheckpointUnusable": ("router", "it is quantized"),
    "NotQueries": (2, "bytes"),
    "QueryUnreadable": ((1, 4), 40, "they are blank"),
    "RowTooLarge": (3, 900, "cpu"),
    "HeadUnusable": ("head", "config.json is not JSON"),
    "RouterUnusable": ("router", "it has one label"),
    "NotServable": ("head", ("template", "layers")),
    "NotExportable": ("head", "Switchyard", ("it decides by the gain", "it starts from the router's outputs")),
}


TREES = {**vars(errors), **vars(checkpoint_errors), **vars(decision_errors)}


def test_every_error_is_listed():
    tree = {n for n, e in TREES.items() if isinstance(e, type) and issubclass(e, errors.CalibError)}
    assert tree - {"CalibError"} == set(FACTS)


@pytest.mark.parametrize("name", FACTS)
def test_says_its_facts_in_one_sentence_and_survives_pickling(name):
    error = TREES[name](*FACTS[name])
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    texts = [fact for fact in FACTS[name] if isinstance(fact, str)]
    assert all(text in str(error) for text in texts)
    assert "\n" not in str(error)


def test_what_depends_on_the_facts():
    assert "right on all 40 train examples" in str(errors.OneClass("train", 40, 1))
    assert "wrong on all 40 train examples" in str(errors.OneClass("train", 40, 0))
    assert "in 7 of 40 rows (first: 0, 1, 2, 3, 4);" in str(errors.NonFinite("hidden", tuple(range(7)), 40))
    assert "7 of 40 queries cannot be read (rows 0, 1, 2, 3, 4, …, " in str(
        checkpoint_errors.QueryUnreadable(tuple(range(7)), 40, "blank")
    )
    assert "(rows 0, 1, from 0): blank" in str(checkpoint_errors.QueryUnreadable((0, 1), 40, "blank"))
    assert str(errors.UnknownName("reward", "x", {"b": 1, "a": 2})) == "'x' is not a known reward; choose one of a, b"
