from records import dialogue_instruction, image_instruction

from ensemble.evaluation.ablation import routing
from ensemble.panel import by_task
from mire.labels import TASKS, builtin_taxonomy
from mire.prompts import parse_prompt
from mire.samples import Sample

TAXONOMIES = {task: builtin_taxonomy(task) for task in TASKS}


def sample(sample_id: str, text: str, label: str | None) -> Sample:
    return Sample(sample_id, parse_prompt(text), label=label)


def test_the_label_tells_the_task() -> None:
    dialogue = dialogue_instruction("用户: 会生锈吗")
    found = routing(
        by_task(
            [
                sample("a", image_instruction(), "店铺页面"),
                sample("b", dialogue, "是否会生锈"),
                sample("c", dialogue, "店铺页面"),
            ]
        ),
        TAXONOMIES,
    )
    assert found.counts == {"image": {"image": 1, "dialogue": 1}, "dialogue": {"image": 0, "dialogue": 1}}
    assert found.misrouted == ("c",)


def test_a_label_that_says_nothing_is_no_mistake() -> None:
    samples = [sample("a", image_instruction(), None), sample("b", image_instruction(), "没有的")]
    found = routing(by_task(samples), TAXONOMIES)
    assert found.misrouted == () and found.counts["image"] == {"image": 2, "dialogue": 0}
