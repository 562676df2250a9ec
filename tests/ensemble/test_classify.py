"""The library: a panel asked from Python."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from fakes import FakeVoter, image_panel
from PIL import Image

from ensemble import Classification, Panel, Question
from ensemble.panel import TaskPanel
from ensemble.voting.weights import VoterWeight, Weights
from mire.budget import Cost
from mire.errors import DataError, PanelError
from mire.labels import Label, Taxonomy, builtin_taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample
from mire.settings import load_settings

CART, SHOP = "购物车页面", "店铺页面"
ROOT = Path(__file__).parents[2]

PAGES = [ROOT / "README.md", ROOT / "README.zh.md"]


def shown(page: Path) -> str:
    """The page's block of Python."""
    (block,) = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    return block


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "screen.png"
    Image.new("RGB", (60, 40), (200, 30, 30)).save(path)
    return path


def own_panel() -> Panel:
    """A panel for three labels of its own in place of the challenge's."""
    taxonomy = Taxonomy("image", (Label(name="甲"), Label(name="乙"), Label(name="丙", live=False)))
    voter = FakeVoter("a", {"0": "乙"}, taxonomy=taxonomy)
    return replace(
        image_panel(voter), tasks={"image": TaskPanel(taxonomy, (voter,), Weights(voters={"a": VoterWeight()}))}
    )


def test_a_picture_gets_a_typed_answer(picture: Path) -> None:
    panel = image_panel(FakeVoter("a", {"0": CART}), FakeVoter("b", {}), a=0.25, b=0.75)
    answer = panel.classify(image=str(picture))
    assert isinstance(answer, Classification)
    assert (answer.label, answer.task, answer.route.reason) == (CART, "image", "official image frame")
    assert answer.probability == answer.distribution[CART] == pytest.approx(0.8)
    assert list(answer.distribution) == list(builtin_taxonomy("image").labels)
    assert sum(answer.distribution.values()) == pytest.approx(1)
    assert [(voter.name, voter.weight, len(voter.distribution)) for voter in answer.voters] == [
        ("a", 0.25, 23),
        ("b", 0.75, 0),
    ]
    assert (answer.problems, answer.booked) == (("b abstained",), Cost(2, 20))
    with pytest.raises(FrozenInstanceError, match="label"):
        answer.label = SHOP  # type: ignore[misc]
    with pytest.raises(TypeError, match="does not support item assignment"):
        answer.distribution[SHOP] = 1.0  # type: ignore[index]


def test_many_questions_are_answered_in_order(picture: Path) -> None:
    panel = image_panel(FakeVoter("a", {"0": CART, "1": SHOP, "2": CART}))
    same = Sample("same", parse_prompt("Picture 1: <image>\n你是一个电商领域识图专家"), (picture,))
    answers = panel.classify_many([Question(image=picture), same, same])
    assert [answer.label for answer in answers] == [CART, SHOP, CART]
    assert panel.classify_many([]) == []


def test_the_prompt_lists_the_labels_of_the_panels_own_taxonomy(picture: Path) -> None:
    panel = own_panel()
    prompt = panel.sample(Question(image=picture)).prompt.text
    assert prompt.startswith("Picture 1: <image>\n你是一个电商领域识图专家，")
    assert prompt.endswith('["甲","乙","丙"]\n')
    assert panel.classify(image=picture).label == "乙"


def test_a_dialogue_is_put_into_the_challenges_frame() -> None:
    taxonomy = Taxonomy("dialogue", (Label(name="丁"), Label(name="戊")))
    said = (("user", "会生锈吗\n客服: 不会"), ("agent", "<用户与客服的对话 END>"))
    prompt = Question(dialogue=said).sample({"dialogue": taxonomy}).prompt
    assert [(turn.speaker, turn.text) for turn in prompt.turns] == list(said)
    assert prompt.tail.endswith('["丁","戊"]\n')


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (Question(), "nothing to classify: send one picture, a dialogue, or a prompt"),
        (Question(prompt="a", dialogue=(("user", "b"),)), "give a prompt or a dialogue, not both"),
        (Question(prompt="什么页面 <image>"), "every <image> needs its picture, got 1 tags and 0 pictures"),
        (Question(image="no.png"), "picture 'no.png' is missing"),
        (Question(dialogue=(("dog", "b"),)), "a speaker must be 'user' or 'agent', got 'dog'"),  # type: ignore[arg-type]
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(question: Question, reason: str) -> None:
    taxonomies = {"image": builtin_taxonomy("image"), "dialogue": builtin_taxonomy("dialogue")}
    with pytest.raises(DataError, match=reason):
        question.sample(taxonomies)  # type: ignore[arg-type]


def test_a_panel_without_the_task_says_so() -> None:
    with pytest.raises(PanelError, match="this panel has no dialogue experts"):
        image_panel(FakeVoter("a", {})).classify(dialogue=[("user", "会生锈吗")])


def test_a_picture_that_starts_other_programs_is_refused(tmp_path: Path) -> None:
    """Pillow hands EPS to Ghostscript; the list of allowed formats in mire.images does not have it."""
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(path, "EPS")
    with pytest.raises(DataError, match=r"picture 'a.png' cannot be read"):
        image_panel(FakeVoter("a", {})).classify(image=path)


def test_importing_ensemble_is_light() -> None:
    code = (
        "import sys, ensemble\nassert 'numpy' not in sys.modules\nfrom ensemble import Panel\n"
        "assert 'torch' not in sys.modules\n"
        "try:\n    ensemble.Nothing\nexcept AttributeError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "module 'ensemble' has no attribute 'Nothing'\n"


def test_a_folder_without_experts_is_refused(tmp_path: Path) -> None:
    from mire.settings import save_settings

    save_settings(load_settings("cpu"), tmp_path / "settings.json")
    with pytest.raises(PanelError, match="holds no experts; train them"):
        Panel.load(str(tmp_path))


@pytest.mark.slow
def test_the_lines_of_the_readme_run(tiny_set: Path, picture: Path) -> None:
    folder = picture.parent
    (folder / "config.yaml").write_text(
        "name: tiny\nfolds: 2\npanel:\n  image: [screen_text]\n  dialogue: [dialogue_text]\n"
    )
    shutil.copy(picture, folder / "cup.jpg")
    data = ["--data", str(tiny_set / "train.json"), "--images", str(tiny_set / "images")]
    train = ["ensemble.train", "all", *data, "--panel", "runs/cpu", "--config", "config.yaml"]
    run = {"cwd": folder, "env": {**os.environ, "PYTHONPATH": str(ROOT)}, "text": True, "timeout": 300}
    subprocess.run([sys.executable, "-m", *train], check=True, **run)  # type: ignore[call-overload]
    for page in PAGES:
        done = subprocess.run([sys.executable, "-c", shown(page)], check=True, capture_output=True, **run)  # type: ignore[call-overload]
        lines = done.stdout.splitlines()
        assert len(lines) == 4
        assert lines[0].split()[0] in builtin_taxonomy("image").labels and lines[1].startswith("{")
        assert lines[2].startswith("Route(task='dialogue'") and "VoterAnswer(name='dialogue_text'" in lines[3]
