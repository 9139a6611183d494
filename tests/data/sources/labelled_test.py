"""AVA and TID2013: labels of their lists, disjoint parts, malformed lists named."""

import json

import numpy as np
import pytest

from bilateral_jax.data.sources import ava, tid2013
from tests import fake_datasets, optional_packages

optional_packages.need_images()

IDS = (953619, 12, 953958, 4077, 300)


def counts(id_):
    return [(id_ + score) % 7 for score in range(10)]


@pytest.fixture
def contest(tmp_path):
    lines = []
    for number, id_ in enumerate(IDS, 1):
        fake_datasets.write(tmp_path / "images" / f"{id_}.jpg", number)
        lines.append(f"{number} {id_} {' '.join(map(str, counts(id_)))} 1 22 1396")
    (tmp_path / "AVA.txt").write_text("\n".join(lines) + "\n")
    entries = [{"image_id": str(id_), "label": counts(id_)} for id_ in IDS]
    (tmp_path / "labels.json").write_text(json.dumps(entries))
    return tmp_path


@pytest.mark.parametrize("labels", ["AVA.txt", "labels.json"])
def test_votes_of_both_kinds_of_list(contest, labels):
    source = ava.votes(contest, labels=labels)
    assert [source.name(i) for i in range(len(source))] == [str(i) for i in sorted(IDS)]
    for index, id_ in enumerate(sorted(IDS)):
        element = source[index]
        assert element["votes"].dtype == np.float32 and element["image"].shape == (6, 8, 3)
        np.testing.assert_array_equal(element["votes"], counts(id_))


def test_parts_are_disjoint_complete_and_depend_on_the_id_only(contest):
    fractions = {"test": 0.3, "validation": 0.3, "seed": 4}
    parts = {}
    for part in ("train", "validation", "test"):
        try:
            source = ava.votes(contest, part=part, **fractions)
            parts[part] = {source.name(i) for i in range(len(source))}
        except ValueError:
            parts[part] = set()
    assert sorted(sum(map(list, parts.values()), [])) == sorted(map(str, IDS))
    # Fewer photos, same parts.
    kept = [id_ for id_ in IDS if id_ != 300]
    for part, names in parts.items():
        if names - {"300"}:
            source = ava.votes(contest, part=part, ids=kept, **fractions)
            assert {source.name(i) for i in range(len(source))} == names - {"300"}


def test_parts_have_their_fractions():
    drawn = [ava._part(str(id_), 0, 0.2, 0.05) for id_ in range(4000)]
    assert abs(drawn.count("test") / 4000 - 0.2) < 0.03
    assert abs(drawn.count("validation") / 4000 - 0.05) < 0.02


def test_ids_from_list_files(contest):
    (contest / "generic_test.jpgl").write_text("12\n953619\n")
    source = ava.votes(contest, ids=contest / "generic_test.jpgl")
    assert [source.name(i) for i in range(2)] == ["12", "953619"]
    with pytest.raises(ValueError, match="no votes for 7"):
        ava.votes(contest, ids=[12, 7])


def test_missing_photos_are_bad_records(contest):
    (contest / "images" / "300.jpg").unlink()
    with pytest.raises(ValueError, match="1 of 5 records are bad: 300 .no photo 300 in"):
        ava.votes(contest)
    with pytest.warns(UserWarning, match="1 of 5"):
        assert len(ava.votes(contest, on_bad="skip")) == 4


@pytest.mark.parametrize(
    "line, reason",
    [
        ("1 2 3", "line 2: expected 15 integers"),
        ("1 7 1 1 1 1 1 1 1 1 1 -1 0 0 7", "line 2: expected 15 integers"),
        ("1 7 0 0 0 0 0 0 0 0 0 0 0 0 7", "photo 7 has no votes"),
        ("1 12 1 0 0 0 0 0 0 0 0 0 0 0 7", "photo 12 is listed twice"),
    ],
)
def test_malformed_lines_are_named(contest, line, reason):
    good = f"1 12 {' '.join(map(str, counts(12)))} 0 0 7"
    (contest / "AVA.txt").write_text(f"{good}\n{line}\n")
    with pytest.raises(ValueError, match=reason):
        ava.votes(contest)


@pytest.mark.parametrize(
    "entries, reason",
    [
        ("{", "must be a JSON list"),
        ('[{"image_id": "1"}]', "must be a JSON list"),
        ('[{"image_id": "1", "label": [1, 2]}]', "entry 0: votes must be 10 numbers"),
        ('[{"image_id": "../1", "label": [1,1,1,1,1,1,1,1,1,1]}]', "'../1' is no id of a photo"),
        ("[]", "holds no votes"),
    ],
)
def test_malformed_json_is_named(contest, entries, reason):
    (contest / "labels.json").write_text(entries)
    with pytest.raises(ValueError, match=reason):
        ava.votes(contest, labels="labels.json")


def test_bad_arguments_of_ava(contest):
    with pytest.raises(ValueError, match="part must be"):
        ava.votes(contest, part="some")
    with pytest.raises(ValueError, match="fractions of 1"):
        ava.votes(contest, part="test", test=0.9, validation=0.2)


NAMES = [
    f"I{reference:02d}_{kind:02d}_{level}"
    for reference in (1, 4)
    for kind in (3, 24)
    for level in (1, 5)
]


@pytest.fixture
def distorted(tmp_path):
    import PIL.Image

    (tmp_path / "distorted_images").mkdir()
    for number, name in enumerate(NAMES):
        # Letters of both cases, in the list and on disk.
        file = name.lower() if number % 2 else name
        pixels = fake_datasets.pixels(number)
        PIL.Image.fromarray(pixels).save(tmp_path / "distorted_images" / f"{file}.bmp")
    lines = [f"{1.5 + number:.5f} {name.swapcase()}.bmp" for number, name in enumerate(NAMES)]
    (tmp_path / "mos_with_names.txt").write_text("\n".join(lines))
    (tmp_path / "mos_std.txt").write_text("\n".join(str(0.1 * n) for n in range(len(NAMES))))
    return tmp_path


def test_scores(distorted):
    source = tid2013.scores(distorted)
    assert len(source) == len(NAMES)
    for index, name in enumerate(NAMES):
        element = source[index]
        assert element["name"] == name.lower()
        np.testing.assert_array_equal(element["image"], fake_datasets.pixels(index))
        assert element["score"] == np.float32(1.5 + index)
        assert element["deviation"] == np.float32(0.1 * index)
        numbers = [int(element[key]) for key in ("reference", "distortion", "level")]
        assert numbers == [int(part) for part in name[1:].split("_")]


def test_parts_do_not_share_references(distorted):
    train, test = (tid2013.scores(distorted, part=part) for part in ("train", "test"))
    assert {int(e["reference"]) for e in train} == {4}
    assert {int(e["reference"]) for e in test} == {1}
    assert len(tid2013.scores(distorted, references=[4])) == 4
    (distorted / "mos_std.txt").unlink()
    assert np.isnan(tid2013.scores(distorted)[0]["deviation"])


def test_malformed_lists_of_tid2013_are_named(distorted):
    (distorted / "distorted_images" / "I01_03_1.bmp").unlink()
    with pytest.raises(ValueError, match="1 of 8 records are bad: i01_03_1"):
        tid2013.scores(distorted)
    (distorted / "mos_std.txt").write_text("1\n2\n")
    with pytest.raises(ValueError, match="has 2 lines, .* has 8"):
        tid2013.scores(distorted)
    (distorted / "mos_std.txt").unlink()
    for line, reason in (
        ("5.0 photo.bmp", "expected a score and a name"),
        ("five I01_01_1.bmp", "'five' is not a number"),
        ("1 I01_01_1.bmp\n2 i01_01_1.BMP", "twice"),
    ):
        (distorted / "mos_with_names.txt").write_text(line)
        with pytest.raises(ValueError, match=reason):
            tid2013.scores(distorted)
    with pytest.raises(ValueError, match="part must be"):
        tid2013.scores(distorted, part="validation")
