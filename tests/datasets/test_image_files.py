"""Pictures in folders and tables: what is found, how it is read, and which mistake gets which answer."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.datasets import ImageFolder, ImageTable, read_picture
from tinygrad_cnn.datasets import transforms as T
from tinygrad_cnn.errors import DataError
from tinygrad_cnn.utils.data import DataLoader, Dataset

image = pytest.importorskip("PIL.Image", reason="the extra 'images' is not installed")


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.fromarray(array).save(path, **options)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("b", "a", "c"):
        for i in range(5):
            save(tmp_path / "set" / name / f"{i}.png", rng.integers(0, 256, (6, 5, 3), np.uint8))
    return tmp_path / "set"


# --- one picture ----------------------------------------------------------------------------------------


def test_a_picture_is_uint8_with_the_channels_that_were_asked_for(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    save(tmp_path / "x.png", pixels)
    np.testing.assert_array_equal(read_picture(tmp_path / "x.png"), pixels)
    assert read_picture(tmp_path / "x.png", 1).shape == (4, 6, 1)
    assert read_picture(tmp_path / "x.png", 4, size=(2, 3)).shape == (2, 3, 4)


def test_what_is_transparent_becomes_white_unless_opacity_is_kept(tmp_path):
    clear = np.zeros((2, 2, 4), np.uint8)
    save(tmp_path / "x.png", clear)
    assert (read_picture(tmp_path / "x.png") == 255).all()
    assert (read_picture(tmp_path / "x.png", 4) == 0).all()


def test_sixteen_bits_become_eight(tmp_path):
    save(tmp_path / "x.png", np.array([[0, 65535], [32768, 257]], np.uint16))
    np.testing.assert_array_equal(read_picture(tmp_path / "x.png", 1)[..., 0], [[0, 255], [128, 1]])


def test_a_photo_is_turned_as_the_camera_was_held(tmp_path):
    picture = image.fromarray(np.array([[255, 0], [0, 0], [0, 0]], np.uint8))
    exif = image.Exif()
    exif[0x0112] = 6  # to be shown a quarter turn clockwise
    picture.save(tmp_path / "x.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "x.png", 1)[..., 0], [[0, 0, 255], [0, 0, 0]])


# --- folders --------------------------------------------------------------------------------------------


def test_classes_are_the_folders_by_name_and_samples_their_pictures(folder):
    (folder / "b" / "notes.txt").write_text("no picture")
    (folder / ".hidden").mkdir()
    save(folder / "a" / "deeper" / "z.JPG", np.zeros((6, 5), np.uint8), format="jpeg")
    data = ImageFolder(folder)
    assert data.classes == ("a", "b", "c") and data.class_to_idx == {"a": 0, "b": 1, "c": 2}
    assert len(data) == 16 and data.targets == [0] * 6 + [1] * 5 + [2] * 5
    value, label = data[0]
    assert value.shape == (3, 6, 5) and value.dtype == np.float32 and label == 0
    np.testing.assert_allclose(value * 255, read_picture(data.imgs[0][0]).transpose(2, 0, 1), atol=1e-4)
    assert data[-1][1] == 2
    with pytest.raises(IndexError, match="has 16 samples, got index 16"):
        data[16]


def test_size_channels_and_transform(folder):
    data = ImageFolder(folder, T.Normalize(0.5, 0.5), size=8, channels=1)
    assert data[0][0].shape == (1, 8, 8) and data[0][0].min() < 0
    batch, labels = next(iter(DataLoader(data, 15, num_workers=2)))
    assert batch.shape == (15, 1, 8, 8) and labels.tolist() == data.targets


def test_a_loader_of_ones_own_reads_the_file(folder):
    assert ImageFolder(folder, loader=lambda path: path)[0][0].endswith("0.png")


def test_folders_that_cannot_be_used_are_explained(folder, tmp_path):
    with pytest.raises(DataError, match="there is no folder .*nowhere"):
        ImageFolder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds 5 pictures and no folder: expected a sub-folder per class"):
        ImageFolder(folder / "a")
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"no picture was found in .*empty: expected files that end in \.png"):
        ImageFolder(folder)
    assert ImageFolder(folder, allow_empty=True).classes == ("a", "b", "c", "empty")
    with pytest.raises(DataError, match="has no class folder 'bird'; it has a, b, c, empty"):
        ImageFolder(folder, classes=["bird"])


def test_an_unreadable_file_is_named(folder):
    (folder / "b" / "3.png").write_bytes((folder / "b" / "3.png").read_bytes()[:60])
    data = ImageFolder(folder)
    with pytest.raises(DataError, match=r"3\.png cannot be read as an image"):
        data[8]
    ((path, message),) = data.unreadable()
    assert path.endswith("3.png") and "cannot be read" in message


def test_a_split_takes_its_share_of_each_class_by_file_name(folder, tmp_path):
    rest, apart = ImageFolder(folder).split(0.2, seed=3)
    assert apart.targets == [0, 1, 2] and len(rest) == 12 and not set(rest.samples) & set(apart.samples)
    folder.rename(tmp_path / "moved")
    _, again = ImageFolder(tmp_path / "moved").split(0.2, seed=3)
    assert [p.rpartition("set")[2] for p, _ in apart.samples] == [p.rpartition("moved")[2] for p, _ in again.samples]


def test_the_digest_changes_with_a_file(folder):
    before = ImageFolder(folder).digest()
    assert before == ImageFolder(folder).digest()
    save(folder / "a" / "0.png", np.zeros((6, 5), np.uint8))
    assert ImageFolder(folder).digest() != before


# --- tables ---------------------------------------------------------------------------------------------


def table_of(folder, text):
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_names_pictures_beside_it(folder):
    data = ImageTable(table_of(folder, "\ufefffilename,class\na/0.png,10\n\nb/1.png,9\n"))
    assert data.classes == ("9", "10") and data.targets == [1, 0]
    assert data[0][0].shape == (3, 6, 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: expected a line of headings"),
        ("filename,class\n", "names no picture"),
        ("file,class\na/0.png,x\n", "has no column 'filename'; its columns are file, class"),
        ("filename,class\na/9.png,x\n", r"line 2: there is no file '.*9\.png'"),
        ("filename,class\na/0.png\n", "line 2: expected 2 values as in the headings, got 1"),
        ('filename,class\n"a/0.png,x\n', "is no table of comma-separated values"),
    ],
)
def test_a_table_that_cannot_be_used_is_explained(folder, text, message):
    with pytest.raises(DataError, match=message):
        ImageTable(table_of(folder, text))


def test_an_unknown_class_and_a_word_among_numbers_are_named(folder):
    path = table_of(folder, "filename,class\na/0.png,x\n")
    with pytest.raises(DataError, match="line 2: expected one of the classes cat, dog, got 'x'"):
        ImageTable(path, classes=["cat", "dog"])
    with pytest.raises(DataError, match="expected numbers in class"):
        ImageTable(path, numbers=True)


# --- what transforms draw -------------------------------------------------------------------------------


class Drawing(Dataset[float]):
    """Every sample is what it draws."""

    def __len__(self):
        return 20

    def __getitem__(self, _i):
        return float(tg.rand(()))


def test_what_samples_draw_depends_on_the_seed_and_not_on_the_workers():
    drawn = []
    for workers in (0, 1, 4):
        tg.manual_seed(3)
        drawn.append([x.tolist() for _epoch in range(2) for x in DataLoader(Drawing(), 4, num_workers=workers)])
        drawn[-1].append(float(tg.rand(())))
    assert drawn[0] == drawn[1] == drawn[2]
    assert len({x for batch in drawn[0][:-1] for x in batch}) == 40


def test_an_epoch_that_is_continued_draws_the_same():
    loader = DataLoader(Drawing(), 4)
    tg.manual_seed(1)
    whole = [x.tolist() for x in loader]
    tg.manual_seed(1)
    assert [x.tolist() for x in loader.batches(2)] == whole[2:]


def test_random_crops_and_flips_need_no_generator():
    tg.manual_seed(0)
    picture = np.arange(16.0).reshape(1, 4, 4)
    assert len({T.RandomCrop(2)(picture).tobytes() for _ in range(40)}) > 3
    assert len({T.RandomHorizontalFlip()(picture).tobytes() for _ in range(20)}) == 2


def test_an_error_says_which_sample_was_being_loaded():
    class Broken(Drawing):
        def __getitem__(self, i):
            return 1 / (i - 7)

    with pytest.raises(ZeroDivisionError) as caught:
        list(DataLoader(Broken(), 4, num_workers=2))
    assert "loading sample 7 of Broken" in "".join(caught.value.__notes__)
