"""The concordance within each video, against a plain loop over the videos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from cage_lightning.labels import AFFECTNET_8
from cage_lightning.predictions.table import Predictions
from cage_lightning.scores.bootstrap import intervals
from cage_lightning.scores.comparison import compare
from cage_lightning.scores.results import results_of
from cage_lightning.scores.scorer import point_estimate
from tests.prediction_samples import of_affect, random_predictions
from tests.present import present

NAN = float("nan")
value = st.one_of(st.floats(-1, 1, width=16), st.just(NAN))
frame = st.tuples(st.sampled_from(["", "a", "b", "c"]), value, value, st.floats(-2, 2, width=16))


def in_videos(predictions: Predictions, names: list[str]) -> Predictions:
    return replace(predictions, groups={"video": np.array(names, dtype=np.str_)})


def plain_ccc(x: np.ndarray, y: np.ndarray) -> float:
    n = len(x)
    spread = ((x - x.mean()) ** 2).sum() + ((y - y.mean()) ** 2).sum()
    spread += (n - 1) * (x.mean() - y.mean()) ** 2
    return 1.0 if spread == 0 else float(2 * ((x - x.mean()) * (y - y.mean())).sum() / spread)


# A video that hardly varies, far from the others: rounding must not make it a constant.
@example([("a", 0, NAN, 0), ("a", 2**-24, NAN, 1), ("b", 1, NAN, 0), ("b", 1, NAN, 0)])
@given(st.lists(frame, min_size=1, max_size=30))
def test_it_is_the_mean_of_the_videos(frames: list[tuple[str, float, float, float]]) -> None:
    names = [name for name, *_ in frames]
    true = np.array([row[1:3] for row in frames])
    predicted = np.array([(row[3], -row[3] / 2) for row in frames])
    found = point_estimate(in_videos(of_affect(AFFECTNET_8, predicted, true), names))
    videos = set(names) - {""}
    unscored = set()
    for d, dimension in enumerate(("valence", "arousal")):
        each = []
        for video in sorted(videos):
            rows = [i for i, name in enumerate(names) if name == video and true[i, d] == true[i, d]]
            if len(rows) < 2:
                unscored.add(video)
            else:
                each.append(plain_ccc(predicted[rows, d], true[rows, d]))
        key = f"ccc_{dimension}_per_video"
        assert (key in found) == bool(each)
        if each:
            np.testing.assert_allclose(found[key], np.mean(each), atol=1e-9)
    assert found.get("n_videos", 0) == len(videos)
    assert found.get("n_videos_unscored", 0) == len(unscored)


def test_one_video_is_the_whole_and_no_video_adds_no_key() -> None:
    plain = random_predictions(AFFECTNET_8, 40)
    alone = point_estimate(plain)
    assert not any("video" in key for key in alone)
    found = point_estimate(in_videos(plain, ["v"] * 40))
    np.testing.assert_allclose(found["ccc_valence_per_video"], found["ccc_valence"], rtol=1e-12)
    assert {key: found[key] for key in alone} == alone


def test_whole_videos_are_drawn_again() -> None:
    file = in_videos(random_predictions(AFFECTNET_8, 60), [f"v{i // 20}" for i in range(60)])
    parts = [point_estimate(file.select(np.arange(i, i + 20))) for i in (0, 20, 40)]
    scores = [part["ccc_valence_per_video"] for part in parts]
    found = intervals(file, resamples=400, confidence=0.99)["ccc_valence_per_video"]
    # Three videos: now and then all that is drawn is one of them, thrice.
    np.testing.assert_allclose(found[:2], [min(scores), max(scores)], rtol=1e-9)
    for key in ("accuracy", "mse_pooled"):  # a mean over samples: its frames come with each video
        scores = [part[key] for part in parts]
        found = intervals(file, resamples=400, confidence=0.99)[key]
        np.testing.assert_allclose(found[:2], [min(scores), max(scores)], rtol=1e-9)
    assert "n_videos" not in intervals(file, resamples=20)


def test_files_of_videos_are_compared_and_reported() -> None:
    names = [f"v{i // 20}" for i in range(60)]
    a = in_videos(random_predictions(AFFECTNET_8, 60), names)
    b = replace(a, affect_pred=-present(a.affect_pred))
    differences = compare(a, b, resamples=50).differences
    assert differences["ccc_valence_per_video"].difference < 0
    content = results_of(a, resamples=20)
    assert content["test/n_videos"] == 3
    assert content["test/n_videos_unscored"] == 0
    assert "test/ccc_arousal_per_video" in content["intervals"]
