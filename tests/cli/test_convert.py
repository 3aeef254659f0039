"""Convert by typing: a packed dataset becomes an old directory, and that one packed again."""

import json

import numpy as np

import haversack as library


def test_convert_there_and_back(haversack):
    with library.PackWriter("packed") as writer:
        for number in range(5):
            writer.append(np.full((2, 3), number, "uint8"), key=f"r{number}", n=number)
    told = json.loads(haversack("convert", "packed", "old", "--to", "acumen", "-q", "--json").out)
    assert (told["records"], told["dtype"]) == (5, "uint8")
    back = haversack("convert", "old", "new", "--dtype", "uint8", "--codec", "zstd", "-q")
    assert back.code == 0, back.err
    with library.open("new") as dataset:
        assert dataset.record("r3").data.tolist() == [[3, 3, 3], [3, 3, 3]]


def test_convert_says_what_is_wrong(haversack):
    with library.PackWriter("packed") as writer:
        writer.append(np.zeros(3, "float32"))
    assert haversack("convert", "packed", "old", "--to", "acumen", "-q").code == 0
    for code, words, *arguments in [
        (2, "dtype", "old", "new"),
        (2, "no dtype", "old", "new", "--dtype", "flaot"),
        (7, "give the dtype", "old", "new", "--dtype", "float16"),
        (3, "nowhere", "nowhere", "new", "--dtype", "float16"),
        (3, "index.csv", "packed", "new", "--dtype", "float16"),
        (6, "old", "packed", "old", "--to", "acumen"),
        (2, "--codec", "packed", "other", "--to", "acumen", "--codec", "zstd"),
    ]:
        result = haversack("convert", *arguments, "-q")
        assert result.code == code, result.err
        assert words in result.err
        assert result.err.startswith("haversack: ")
        assert "Traceback" not in result.err
