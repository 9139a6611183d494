"""A wrong word on the command line of a training is one sentence."""

import sys

import pytest
from absl import flags
from ml_collections import config_flags

from experiments.runs import command_line
from tests import assets

# How ml_collections loads a config.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

SMOKE = f"--config={assets.ROOT}/configs/smoke.py"


@pytest.fixture
def parse(monkeypatch):
    monkeypatch.syspath_prepend(str(assets.ROOT))

    def parse(*words):
        values = flags.FlagValues()
        config_flags.DEFINE_config_file("config", flag_values=values)
        flags.DEFINE_string("workdir", None, "Folder.", flag_values=values)
        arguments = ["train", *map(str, words)]
        monkeypatch.setattr(sys, "argv", arguments)  # config_flags looks there for overrides
        command_line.parse(
            arguments, config="config", required=("config", "workdir"), values=values
        )
        return values

    return parse


def test_a_good_command_line(parse):
    values = parse(SMOKE, "--workdir=RUN", "--config.batches.crop=16", "--config.seed", "3")
    assert values["config"].value.batches.crop == 16 and values["config"].value.seed == 3


@pytest.mark.parametrize(
    "words, expected",
    [
        ([SMOKE, "--config.batches.nonsense=3"], r"batches.nonsense: no such entry.*batch_size, "),
        ([SMOKE, "--config.batches.bach_size=3"], "did you mean batch_size"),
        ([SMOKE, "--config.nonsense"], "--config.nonsense: no such entry"),
        ([SMOKE, "--noconfig.nonsense"], "--config.nonsense: no such entry"),
        ([SMOKE, "--config.seed.x=3"], "config.seed is a value, .* --config.seed=VALUE sets"),
        ([SMOKE, "--config.steps=many"], "config.steps=many"),
        ([SMOKE, "--config.steps"], "Missing value for flag --config.steps"),
        (["--config=configs/MISSING.py"], "--config=configs/MISSING.py: no such file: .*MISSING"),
        (["--config", "configs/MISSING.py"], "--config=configs/MISSING.py: no such file"),
        ([f"--config={assets.ROOT}/configs"], "is a folder; expected a Python file"),
        ([f"{SMOKE}:x"], "takes 0 positional arguments but 1 was given"),
        ([f"--config={assets.ROOT}/configs/stored.py:gone.json"], "no such file: gone.json"),
        ([f"--config={assets.ROOT}/configs/__init__.py"], "has no function get_config"),
        ([SMOKE, "stray", "words"], "unexpected 'stray' 'words'"),
        ([SMOKE, "--nonsense=1"], "Unknown command line flag 'nonsense'"),
        (["--config.seed=1", SMOKE], "--config.seed=1"),
        ([SMOKE, "--workdir="], "--workdir is empty"),
        (["--workdir=RUN"], "--config is required"),
        ([SMOKE], "--workdir is required"),
    ],
)
def test_a_wrong_word_is_one_sentence(parse, words, expected):
    more = () if "--workdir" in expected or "--config is" in expected else ("--workdir=RUN",)
    with pytest.raises(command_line.UsageError, match=expected) as caught:
        parse(*more, *words)
    assert "\n" not in str(caught.value) and "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("def get_config(:", "SyntaxError"),
        ("import nowhere_to_be_found", "No module named"),
        ("def get_config():\n    return {}['x']", "KeyError: 'x'"),
        ("def get_config():\n    raise ValueError('odd\\nvalue')", "ValueError: odd value"),
        ("get_config = 3", "TypeError"),
    ],
)
def test_a_broken_config_is_one_sentence(parse, tmp_path, text, expected):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(command_line.UsageError, match=expected) as caught:
        parse(f"--config={path}", "--workdir=RUN")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words, expected",
    [
        (["--config.seed=5"], None),
        (["--nonsense"], "Unknown command line flag 'nonsense'"),
        (["--config.stepz=3"], "--config.stepz: no such entry; did you mean steps"),
    ],
)
def test_a_config_that_is_the_default(words, expected, monkeypatch):
    monkeypatch.syspath_prepend(str(assets.ROOT))
    monkeypatch.setattr(sys, "argv", ["demo", *words])
    command_line.default_config("config", f"{assets.ROOT}/configs/smoke.py")
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values)
    if expected is None:
        command_line.parse(sys.argv, config="config", values=values)
        assert values["config"].value.seed == 5
    else:
        with pytest.raises(command_line.UsageError, match=expected):
            command_line.parse(sys.argv, config="config", values=values)
