import pytest

from mire.errors import DataError
from mire.tables.columns import Columns, find_columns, picture_names


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("Text", "Label"), Columns(text="Text", label="Label")),
        (("编号", "聊天记录", "意图", "渠道"), Columns(id="编号", text="聊天记录", label="意图")),
        (("File_Name", "class"), Columns(image="File_Name", label="class")),
        (("image path", "User", "text", "message"), Columns(image="image path", text="text")),
    ],
)
def test_usual_names_are_known(names: tuple[str, ...], found: Columns) -> None:
    assert find_columns(names) == found


def test_a_table_without_text_and_pictures_says_which_columns_it_has() -> None:
    with pytest.raises(
        DataError, match="its columns are spalte, label: name one text .* or image .*, and the answers'"
    ):
        find_columns(("spalte", "label"))


def test_two_columns_for_one_thing_are_not_guessed_between() -> None:
    with pytest.raises(DataError, match="'message' and 'content' could each be the text; name the right one text"):
        find_columns(("message", "content"))


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("a.png", ["a.png"]),
        ("a.png; b.png", ["a.png", "b.png"]),
        ('["a.png", "b.png"]', ["a.png", "b.png"]),
        ("[1].png", ["[1].png"]),
        ("", []),
        (None, []),
        (["a.png"], ["a.png"]),
    ],
)
def test_pictures_of_a_cell(cell: object, names: list[str]) -> None:
    assert picture_names(cell) == names


def test_what_is_no_picture_name() -> None:
    with pytest.raises(DataError, match=r"picture names must be text or a list of texts, got \[1\]"):
        picture_names("[1]")
