"""Which devices train what, and the command lines and settings files that accelerate gets."""

import json
import sys
from pathlib import Path

import pytest

import experts
from ensemble import train
from ensemble.training.accelerate_launch import Launch, run_side_by_side
from mire.cli import run
from mire.errors import SettingsError
from mire.launch_options import Kind
from mire.settings import Training

FOLDER = Path(experts.__file__).parent / "qwen2vl" / "training" / "accelerate"
BATCH_OF_16 = Training(batch_size=16, micro_batch_size=4)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with four GPUs, of which this process may use three."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2,3")


@pytest.mark.usefixtures("gpus")
def test_all_gpus_or_the_first_of_them() -> None:
    assert Launch.choose("ddp", None).gpus == ("0", "2", "3")
    two = Launch.choose("ddp", 2)
    assert two.environment()["CUDA_VISIBLE_DEVICES"] == "0,2" and two.n_processes == 2
    with pytest.raises(SettingsError, match="--devices 4: this machine has 3 GPUs; ask for fewer"):
        Launch.choose("ddp", 4)


def test_without_gpus_a_training_per_core_or_as_many_processes_as_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("ensemble.training.accelerate_launch.usable_cores", lambda: 5)
    assert Launch.choose("ddp", None) == Launch("ddp", (), 1, n_cores=5)
    assert Launch.choose("fsdp", 2) == Launch("fsdp", (), 2)
    assert list(Launch.choose("ddp", None).groups(2, BATCH_OF_16)) == [Launch("ddp", (), 1)] * 2
    assert list(Launch.choose("ddp", None).groups(9, BATCH_OF_16)) == [Launch("ddp", (), 1)] * 5
    threads = [
        Launch("ddp", (), n).environment(side)["OMP_NUM_THREADS"] for n, side in ((1, 1), (1, 2), (2, 2), (5, 2))
    ]
    assert threads == ["5", "2", "1", "1"]


@pytest.mark.parametrize(
    ("kind", "n_devices", "n_jobs", "sizes"),
    [
        ("ddp", 1, 5, [1]),
        ("ddp", 4, 5, [1, 1, 1, 1]),
        ("ddp", 8, 2, [4, 4]),
        ("ddp", 8, 1, [8]),
        ("ddp", 6, 2, [2, 2]),  # 3 do not divide a batch of 16
        ("fsdp", 8, 5, [8]),
    ],
)
def test_folds_share_the_devices(kind: Kind, n_devices: int, n_jobs: int, sizes: list[int]) -> None:
    groups = list(Launch(kind, tuple("abcdefgh"[:n_devices]), n_devices).groups(n_jobs, BATCH_OF_16))
    assert [group.n_processes for group in groups] == sizes
    used = [gpu for group in groups for gpu in group.gpus]
    assert len(used) == len(set(used)) == sum(sizes)


@pytest.mark.parametrize(("n_devices", "share"), [(1, (4, 4)), (2, (4, 2)), (4, (4, 1)), (8, (2, 1)), (16, (1, 1))])
def test_the_batch_stays_what_it_is(n_devices: int, share: tuple[int, int]) -> None:
    assert BATCH_OF_16.share(n_devices) == share
    assert n_devices * share[0] * share[1] == 16
    # no more than micro_batch_size at a time, also where that does not divide the batch
    assert Training(batch_size=16, micro_batch_size=5).share(1) == (4, 4)


def test_a_batch_that_cannot_be_divided_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = ["--data", str(tmp_path / "no.json"), "--images", str(tmp_path), "--panel", str(tmp_path / "p")]
    assert run(train, ["image", *nowhere, "--config", "nano", "--devices", "3"]) == 1
    assert capsys.readouterr().err == (
        "error: a batch of 8 cannot be divided among 3 devices; train on 1, 2, 4, 8 of them (--devices), or set "
        "another batch_size\n"
    )


def test_devices_are_counted_from_one() -> None:
    with pytest.raises(SystemExit, match="2"):
        run(train, ["image", "--data", "d", "--images", "i", "--panel", "p", "--devices", "0"])


def test_commands_by_hand() -> None:
    one, two = Launch("ddp", (), 1).command(["--fold", "0"]), Launch("fsdp", ("0", "1"), 2).command(["--fold", "0"])
    assert one == [sys.executable, "-m", "experts.qwen2vl.train", "--fold", "0"]
    assert str(FOLDER / "ddp.yaml") in two and two[-3:] == ["--fold", "0", "--sharded"]
    assert two[two.index("--num_processes") + 1] == "2"


def test_side_by_side_both_run_and_both_codes_come_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each waits for the other's file, so one after the other would never end."""
    script = (
        "import sys, time, pathlib\nown, other, code = sys.argv[1:]\npathlib.Path(own).touch()\n"
        "while not pathlib.Path(other).exists(): time.sleep(0.01)\nsys.exit(int(code))"
    )
    monkeypatch.setattr(Launch, "command", lambda self, words: [sys.executable, "-c", script, *words])
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    assert run_side_by_side([Launch("ddp", (), 1)] * 2, [[a, b, "0"], [b, a, "3"]]) == [0, 3]


@pytest.mark.parametrize(("kind", "n_processes"), [("ddp", 2), ("fsdp", 2)])
def test_accelerate_understands_every_command(kind: Kind, n_processes: int) -> None:
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    words = Launch(kind, (), n_processes).command(["--fold", "0"])
    options = launch_command_parser().parse_args(words[3:])  # behind python -m accelerate.commands.launch
    options, _, _ = _validate_launch_command(options)
    assert (options.multi_gpu, options.use_deepspeed, options.use_fsdp) == (n_processes > 1, False, False)
    assert options.mixed_precision == "no" and options.num_processes == n_processes
    assert options.training_script == "experts.qwen2vl.train" and options.training_script_args[:2] == ["--fold", "0"]


@pytest.mark.slow
def test_folds_on_two_devices_make_a_panel_that_predicts(tiny_set: Path, tmp_path: Path) -> None:
    """Each fold on a process of its own, the final adapter on both."""
    from ensemble import predict
    from ensemble.prediction.submission import read_submission
    from experts.qwen2vl.nano import build_nano

    build_nano(tmp_path / "base", n_steps=0)
    records = [record for record in json.loads((tiny_set / "train.json").read_text()) if not record["image"]]
    (tmp_path / "talk.json").write_text(json.dumps(records), encoding="utf-8")
    (tmp_path / "c.yaml").write_text(
        "name: tiny\nfolds: 2\npanel: {image: [clip_lightgbm], dialogue: [qwen2vl]}\n"
        f"qwen2vl: {{base: {tmp_path / 'base'}, layout: compact, vote_folds: 2, "
        "dialogue: {epochs: 1, batch_size: 4, micro_batch_size: 2}}\n"
    )
    files = [
        "--data",
        str(tmp_path / "talk.json"),
        "--images",
        str(tiny_set / "images"),
        "--panel",
        str(tmp_path / "p"),
    ]
    assert run(train, ["dialogue", *files, "--config", str(tmp_path / "c.yaml"), "--devices", "2"]) == 0
    assert run(predict, [*files, "--out", str(tmp_path / "out.csv")]) == 0
    assert len(read_submission(tmp_path / "out.csv")) == 12
    history = {fold: (tmp_path / f"p/dialogue/qwen2vl/folds/{fold}/history.json").read_text() for fold in (0, 1)}
    assert "eval_f1" in history[0] and "eval_f1" in history[1]
    votes = json.loads((tmp_path / "p/dialogue/votes/qwen2vl.json").read_text(encoding="utf-8"))
    assert len(votes["votes"]) == 12


@pytest.mark.skipif(sys.platform != "linux", reason="the interface has another name")
def test_processes_talk_on_this_machines_own_address_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    monkeypatch.setenv("NCCL_SOCKET_IFNAME", "eth7")
    found = Launch("ddp", (), 2).environment()
    assert (found["GLOO_SOCKET_IFNAME"], found["NCCL_SOCKET_IFNAME"]) == ("lo", "eth7")
