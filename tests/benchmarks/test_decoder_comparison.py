"""Comparing decoders: each on the same pictures, and who cannot run is named."""

import json
from pathlib import Path

import numpy as np
import pytest
import segno
from click.testing import CliRunner
from PIL import Image

from tests.benchmarks import decoder_comparison
from tests.benchmarks.__main__ import bench
from tests.benchmarks.decoder_comparison import Codes, measure_codes
from vitale_protocol.errors import ConfigurationInvalid


@pytest.fixture(scope="module")
def compared() -> Codes:
    """A small run: few kinds, one size, one film, three engines of which one is not there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vitale_firmware_sim.camera.scene.KINDS", ("plain", "size", "blur"))
        patch.setattr("vitale_firmware_sim.camera.scene.COMBINED", ("size+blur",))
        patch.setattr("vitale_firmware_sim.camera.scene.SEVERITIES", ("light", "medium"))
        patch.setattr(decoder_comparison, "SIZES", ((640, 480),))
        patch.setattr(decoder_comparison, "FRAMES", 24)
        patch.setattr(decoder_comparison, "PHONES", 0)
        patch.setattr(decoder_comparison, "PAPERS", 0)
        patch.setattr(decoder_comparison, "HARD", 0)
        patch.setattr(decoder_comparison, "DECOYS", 0)
        patch.setattr(decoder_comparison, "FILMS", ("hurried",))
        return measure_codes(1, None, None, lambda _: None, ("zxing", "wechat", "ours"))


def test_each_engine_is_measured_on_every_set_of_pictures(compared: Codes) -> None:
    sets = {one.pictures for one in compared.readings}
    assert len(sets) == 2
    for name in sets:
        rows = {one.engine: one for one in compared.readings if one.pictures == name}
        assert rows.keys() == {"zxing", "ours"}
        assert len({one.count for one in rows.values()}) == 1


def test_easy_pictures_are_read_and_empty_ones_are_not(compared: Codes) -> None:
    for one in compared.readings:
        assert one.wrong == 0
        if one.kinds:
            assert one.kinds["plain/light"] == 1
            assert one.read == sum(one.kinds.values())
        else:
            assert one.read == 0
        assert 0 < one.mean_ms


def test_films_are_read(compared: Codes) -> None:
    assert {one.engine for one in compared.films} == {"zxing", "ours", "ours-slow"}
    for one in compared.films:
        assert one.read == one.soon == one.count == 1
        assert one.median_ms is not None
        assert 0 < one.median_ms


def test_each_stage_says_what_it_adds(compared: Codes) -> None:
    read = next(one.read for one in compared.readings if one.engine == "ours" and one.kinds)
    assert sum(one.added for one in compared.stages) >= read
    assert compared.stages[0].added == compared.stages[0].read
    assert all(0 <= one.added <= one.read for one in compared.stages)


def test_who_cannot_run_is_named(compared: Codes) -> None:
    assert compared.left_out.keys() == {"wechat"}


def test_photographs_without_a_manifest_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="no photographs with a manifest") as refused:
        measure_codes(1, tmp_path, None, lambda _: None, ())
    assert refused.value.data == {"file": str(tmp_path)}


def test_photographs_are_read_with_their_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = np.array([list(row) for row in segno.make("a photograph", micro=False).matrix_iter(border=4)])
    Image.fromarray(np.where(modules > 0, 0, 255).repeat(5, 0).repeat(5, 1).astype(np.uint8)).save(tmp_path / "one.png")
    (tmp_path / "manifest.json").write_text(json.dumps([{"file": "one.png", "texts": ["a photograph"]}]), "utf-8")
    monkeypatch.setattr(decoder_comparison, "SIZES", ())
    monkeypatch.setattr(decoder_comparison, "FILMS", ())
    monkeypatch.setattr(decoder_comparison, "PHONES", 0)
    monkeypatch.setattr(decoder_comparison, "PAPERS", 0)
    monkeypatch.setattr(decoder_comparison, "HARD", 0)
    monkeypatch.setattr(decoder_comparison, "DECOYS", 0)
    found = measure_codes(1, tmp_path, None, lambda _: None, ("ours",))
    assert [(one.count, one.read, one.wrong) for one in found.readings] == [(1, 1, 0)]


@pytest.mark.parametrize("options", [["--codes", "0"], ["--photos", "nowhere", "--codes", "1"]])
def test_wrong_options_are_refused(options: list[str]) -> None:
    assert CliRunner().invoke(bench, options).exit_code == 2


def test_the_tables_show_all(compared: Codes, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(*_arguments: object) -> Codes:
        return compared

    monkeypatch.setattr(decoder_comparison, "measure_codes", measured)
    shown = CliRunner().invoke(bench, ["--codes", "1"])
    assert shown.exit_code == 0
    for word in ("zxing", "ours", "640×480", "plain/light", "wechat"):
        assert word in shown.output
