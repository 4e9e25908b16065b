"""The page of a model: every kind of bundle, the same bytes each time, and figures that are what they say."""

import io
import json
import re
import shutil
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from m5model.bundles.draft import BundleDraft
from m5model.bundles.find import open_bundle
from m5model.bundles.publish import publish_bundle
from m5model.cli import main
from m5model.commands._listings import _from_record
from m5model.data.vocabulary import save_vocabulary
from m5model.data.vocabulary_marks import add_marks
from m5model.encoders.attention_weights import OTHER, OWN, attention_maps, head_weights
from m5model.encoders.automodel import open_whole, read_whole_geometry
from m5model.encoders.cross_attention import build_cross_attention
from m5model.encoders.fused_layers import Attention
from m5model.encoders.integrated_gradients import CLOSE, integrate_gradients
from m5model.encoders.kinds import load_encoder, save_encoder
from m5model.encoders.presets import rendering_of
from m5model.files.staging import staging_folder
from m5model.reports.model import facts as parts
from m5model.reports.model.embedding_map import find_neighbours, project_plane
from m5model.reports.model.facts import ModelFacts, ShownListing
from m5model.reports.model.gather import PageRequest, gather_facts
from m5model.reports.model.outliers import find_outliers
from m5model.reports.model.page import render_page
from m5model.reports.model.sample import choose_sample
from m5model.reports.model.spans import cut_into_spans, occlude, read_tokens
from m5model.reports.model.vectors import open_model
from m5model.reports.model.weights import describe_blocks
from m5model.runtime.rendering import MARKS
from m5model.runtime.tokens import open_tokenizer
from schemas.workspace import Workspace
from tests.m5model.encoders.test_automodel import _write as write_whole
from tests.m5model.encoders.test_cross_attention import MICRO_CROSS

WORDS = {"en": "red cotton shirt running shoes steel bottle", "de": "rot baumwolle hemd schuhe", "ja": "赤い 綿 シャツ 靴 水筒"}


def _listing(number: int, language: str, **fields: object) -> ShownListing:
    words = WORDS[language].split()
    title = " ".join(words[(number + place) % len(words)] for place in range(3 + number % 3))
    values = {"title": title, "brand": "Acme", "attributes": [("size", str(number))], "bullets": [words[0]], **fields}
    return ShownListing(locale="US", item_id=f"I{number}", language=language, group=f"group {number % 2}", fields=values)


LISTINGS = [_listing(number, language) for number in range(8) for language in WORDS]


class _Tags(HTMLParser):
    """Tags with their attributes, and that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _parse(page: str) -> _Tags:
    parser = _Tags()
    parser.feed(page)
    assert not parser.open
    return parser


def _facts(folder: Path, listings: list[ShownListing] | None = None) -> ModelFacts:
    opened, manifest = open_bundle(str(folder))
    chosen = LISTINGS if listings is None else listings
    return gather_facts(PageRequest(folder=opened, manifest=manifest, listings=chosen, source="a test", sample=20))


@pytest.fixture(scope="module")
def two_streams(trained, tmp_path_factory) -> Path:
    """A bundle of a teacher with two streams, its weights drawn."""
    workspace = Workspace(str(tmp_path_factory.mktemp("marked")))
    tokenizer = add_marks(open_tokenizer((trained.teacher_folder / "tokenizer.json").read_bytes()))
    preset = replace(MICRO_CROSS, vocabulary_size=tokenizer.get_vocab_size())
    encoder = build_cross_attention(preset, seed=1)
    with staging_folder(workspace) as folder:
        save_encoder(folder, encoder, preset.max_tokens)
        save_vocabulary(folder, tokenizer, preset.max_tokens)
        draft = BundleDraft(
            kind="teacher",
            preset=preset.name,
            parameters=sum(each.numel() for each in encoder.parameters()),
            hidden_size=preset.hidden_size,
            layers=preset.layers,
            vocabulary_size=preset.vocabulary_size,
            max_tokens=preset.max_tokens,
            rendering=rendering_of(preset),
        )
        made = publish_bundle(workspace, folder, draft)
    return Path(workspace.bundle(made.id))


@pytest.fixture(scope="module")
def student_facts(trained) -> ModelFacts:
    return _facts(trained.student_folder)


@pytest.fixture(scope="module")
def marked_facts(two_streams) -> ModelFacts:
    return _facts(two_streams)


def test_the_same_bundle_and_listings_give_the_same_bytes(trained, student_facts) -> None:
    assert render_page(_facts(trained.student_folder)) == render_page(student_facts)


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing(student_facts) -> None:
    page = render_page(student_facts)
    found = _parse(page)
    assert not {"script", "link", "iframe", "object", "img", "base"} & {tag for tag, _ in found.tags}
    assert not re.search(r"\b(?:src|href)\s*=|url\(|@import|https?:", page)
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    assert all(attributes["aria-label"] for tag, attributes in found.tags if tag == "svg")


def test_the_page_of_a_student_shows_every_part(trained, student_facts) -> None:
    assert student_facts.missing == {}
    assert student_facts.vectors == "the int8 graph that executors run"
    assert sum(block.parameters for block in student_facts.blocks) == trained.student.parameters
    assert [layer.name for layer in student_facts.layers] == ["embeddings", "layer 1", "layer 2"]
    assert [layer.name for layer in student_facts.attention.layers] == ["layer 1", "layer 2"]
    assert len(student_facts.looked_at) == 10 and len(student_facts.map.projections) == 2
    assert {row.type for row in student_facts.graphs if row.file.endswith("int8.onnx")} >= {"int8", "float32"}


def test_neighbours_are_those_of_the_vectors_that_executors_give(trained, student_facts) -> None:
    import m5model

    chosen = student_facts.map.listings
    vectors_ND = m5model.load(str(trained.student_folder)).encode([listing.fields for listing in chosen])
    cosines_NN = vectors_ND @ vectors_ND.T
    np.fill_diagonal(cosines_NN, -1)
    for row, looked in enumerate(student_facts.looked_at):
        expected = np.sort(cosines_NN[row])[::-1][:5]
        assert np.allclose([near.cosine for near in looked.neighbours], expected, atol=1e-6)
        assert looked.listing not in [near.listing for near in looked.neighbours]


def test_the_page_of_a_teacher_says_that_it_has_no_graph(trained) -> None:
    found = _facts(trained.teacher_folder)
    assert found.missing == {} and found.graphs == []
    assert "no ONNX graph" in found.vectors and "m5 distill" in render_page(found)


def test_a_bundle_without_weights_is_shown_by_its_graph_and_says_why_the_rest_is_missing(trained, tmp_path: Path) -> None:
    copy = shutil.copytree(trained.student_folder, tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["files"]["model.safetensors"]
    (copy / "model.safetensors").unlink()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    found = _facts(copy)
    assert set(found.missing) == {parts.WEIGHTS, parts.ACTIVATIONS, parts.ATTENTION, parts.GRADIENTS}
    assert found.attention is None and all(looked.gap is None for looked in found.looked_at)
    assert any(span.occlusion for span in found.looked_at[0].spans)
    page = render_page(found)
    _parse(page)
    assert page.count("holds no weights (model.safetensors)") == 4


def test_a_teacher_of_two_streams_shows_both_and_what_each_asks_of_the_other(marked_facts) -> None:
    assert marked_facts.missing == {}
    assert [[found.name for found in layer.hidden] for layer in marked_facts.layers] == [["text", "structure"]] * 4
    maps = [[found.title for found in layer.maps] for layer in marked_facts.attention.layers]
    assert maps[0] == ["to its own stream"] and maps[-1] == ["to its own stream", "to the other stream"]
    assert "‹brand›" in marked_facts.attention.tokens
    page = render_page(marked_facts)
    _parse(page)
    assert '<i class="mark">brand</i>' in page and not any(mark in page for mark in MARKS.values())


def test_attention_of_two_streams_is_what_the_encoder_weighs_values_with(two_streams) -> None:
    import torch

    encoder = load_encoder(two_streams)
    text = MARKS["title"] + "red shirt" + MARKS["brand"] + "Acme"
    ids_L = read_tokens(open_tokenizer((two_streams / "tokenizer.json").read_bytes()), text, 48).ids_L
    seen = []

    def compare(attention: Attention, arguments: tuple, output: torch.Tensor) -> None:
        asking_QD, _, asked_KD, _ = arguments
        value_KD = attention.v_lin(asked_KD)
        if attention.may_ignore:
            value_KD = torch.cat([torch.zeros(1, value_KD.shape[1]), value_KD])
        value_HKd = value_KD.unflatten(1, (attention.heads, -1)).transpose(0, 1)
        mixed_QD = (head_weights(attention, asking_QD, asked_KD) @ value_HKd).transpose(0, 1).flatten(1)
        seen.append(float((attention.out_lin(mixed_QD) - output).abs().max()))

    for module in encoder.modules():
        if isinstance(module, Attention):
            module.register_forward_hook(compare)
    with torch.no_grad():
        maps = attention_maps(encoder, ids_L)
    assert len(seen) > 4 and max(seen) < 1e-5
    for found in maps:
        sums_L = found.weights_LL.sum(axis=1) + (found.ignored_L if found.asked == OTHER else 0)
        assert np.allclose(sums_L[sums_L > 0], 1, atol=1e-5)
    assert (maps[-2].asked, maps[-1].asked) == (OWN, OTHER) and (maps[-1].ignored_L > 0).sum() == len(ids_L)


@pytest.mark.parametrize("kind", ["teacher", "two streams", "xlm-roberta", "modernbert", "electra"])
def test_integrated_gradients_sum_to_what_the_words_add(kind: str, trained, two_streams, tmp_path: Path) -> None:
    folder = {"teacher": trained.teacher_folder, "two streams": two_streams}.get(kind)
    if folder is None:
        folder = write_whole(tmp_path / kind, kind)
        encoder = open_whole(folder, read_whole_geometry(folder)).encoder
        ids_L, other_L = np.asarray([2, 7, 8, 9, 3]), np.asarray([2, 9, 6, 3])
    else:
        encoder, tokenizer = load_encoder(folder), open_tokenizer((folder / "tokenizer.json").read_bytes())
        marked = [MARKS["title"], MARKS["brand"]] if kind == "two streams" else ["", " "]
        texts = [marked[0] + "red cotton shirt" + marked[1] + "Acme", marked[0] + "blue shirt" + marked[1] + "Zephyr"]
        ids_L, other_L = (read_tokens(tokenizer, text, 48).ids_L for text in texts)
    import torch

    with torch.no_grad():
        other = torch.from_numpy(other_L)[None]
        target_D = encoder.vectors(other, torch.ones_like(other))[0].numpy()
    found = integrate_gradients(encoder.requires_grad_(False), ids_L, target_D)
    assert abs(found.gap) <= 2 * CLOSE
    assert np.abs(found.tokens_L).max() > 1e-4


@pytest.mark.parametrize("kind", ["xlm-roberta", "modernbert", "electra"])
def test_attention_of_encoders_taken_as_they_are_sums_to_one(kind: str, tmp_path: Path) -> None:
    folder = write_whole(tmp_path / kind, kind)
    maps = attention_maps(open_whole(folder, read_whole_geometry(folder)).encoder, np.asarray([2, 7, 8, 9, 3]))
    assert len(maps) == 2
    assert all(np.allclose(found.weights_LL.sum(axis=1), 1, atol=1e-5) for found in maps)


def test_occlusion_is_the_similarity_that_goes_with_a_token(trained) -> None:
    """By what executors run: the vector of a text is computed as the engine computes it."""
    import m5model

    model = open_model(*open_bundle(str(trained.student_folder)), 1)
    engine = m5model.load(str(trained.student_folder))
    target_D = engine.encode(["blue steel bottle"])[0]
    tokens = read_tokens(model.tokenizer, "red cotton shirt", model.max_tokens)
    lost_L, similarity = occlude(model, tokens.ids_L, tokens.is_content_L, target_D)
    assert similarity == pytest.approx(float(engine.encode(["red cotton shirt"])[0] @ target_D), abs=1e-6)
    assert (lost_L[[0, -1]] == 0).all()  # control tokens stay
    for place in np.flatnonzero(tokens.is_content_L):
        without = model.encode([np.delete(tokens.ids_L, place)])[0] @ target_D
        assert lost_L[place] == pytest.approx(similarity - float(without), abs=1e-6)


def test_spans_give_the_text_back_whatever_its_tokens_are(trained) -> None:
    tokenizer = open_tokenizer((trained.student_folder / "tokenizer.json").read_bytes())
    for text in ("red  shirt", "قميص 🧥 أحمر", "ﬁne ｆｕｌｌ 赤い靴", "a" * 40, "[MASK] <0x41> x"):
        tokens = read_tokens(tokenizer, text, 10_000)
        values_L = np.ones(len(tokens.ids_L), np.float32)
        spans = cut_into_spans(tokens, values_L, values_L)
        assert "".join(span.text for span in spans) == text.rstrip()
        assert sum(span.occlusion or 0 for span in spans) == tokens.is_content_L.sum()


def test_text_of_sellers_is_escaped_and_runs_as_its_language_does(trained) -> None:
    listings = [*LISTINGS[:4], replace(_listing(9, "en", title="<script>alert(1)</script>"), language="ar")]
    page = render_page(_facts(trained.student_folder, listings))
    assert "script" not in {tag for tag, _ in _parse(page).tags}
    assert '<span lang="ar" dir="rtl">&lt;script&gt;alert(1)&lt;/script&gt;</span>' in page
    assert 'lang="ja" dir="ltr"' in page


def test_one_listing_has_no_map_and_no_neighbours_and_the_page_says_so(trained) -> None:
    found = _facts(trained.student_folder, LISTINGS[:1])
    assert set(found.missing) == {parts.MAP, parts.NEIGHBOURS}
    assert found.looked_at[0].similarity == pytest.approx(1, abs=1e-5)
    page = render_page(found)
    _parse(page)
    assert "a map takes 3 listings or more, there are 1" in page


def test_without_scikit_learn_the_plane_is_drawn_and_the_page_says_what_is_missing(trained, monkeypatch) -> None:
    monkeypatch.setattr("m5model.reports.model.embedding_map.find_spec", lambda name: None)
    found = _facts(trained.student_folder)
    assert [projection.name for projection in found.map.projections] == ["distances: principal components"]
    assert "m5[evaluate]" in render_page(found)


def test_a_channel_of_six_times_the_median_is_an_outlier() -> None:
    found = find_outliers(np.asarray([1, 2, 2, 11.9, 2, 12, 40], np.float32))
    assert [(outlier.channel, outlier.ratio) for outlier in found] == [(6, 20.0), (5, 6.0)]
    assert find_outliers(np.zeros(4, np.float32)) == []


def test_an_outlier_put_into_the_weights_is_found_in_what_the_products_read(trained, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(trained.teacher_folder, tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    weights["transformer.layer.1.sa_layer_norm.weight"][5] = 80.0
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    from m5model.encoders.activation_ranges import observe_activations

    encoder = load_encoder(copy)
    layer = observe_activations(encoder, [np.asarray([2, 300, 301, 302, 3])])[2]
    assert [outlier.channel for outlier in find_outliers(layer.products["ffn.lin1"].largest_C)] == [5]
    assert layer.products["attention.q_lin"].readers == ["attention.q_lin", "attention.k_lin", "attention.v_lin"]
    assert sum(block.parameters for block in describe_blocks(encoder)) == trained.teacher.parameters


def test_the_plane_keeps_distances_of_vectors_that_lie_in_it() -> None:
    draw = np.random.default_rng(3)
    flat_N2 = draw.normal(size=(12, 2))
    points_N2 = np.asarray(project_plane(flat_N2 @ np.linalg.qr(draw.normal(size=(7, 2)))[0].T + 4).points)
    before, after = (np.linalg.norm(each[:, None] - each[None], axis=2) for each in (flat_N2, points_N2))
    assert np.allclose(before, after)
    assert find_neighbours(np.asarray([[1.0, 0], [0.9, 0.1], [0, 1]])).tolist() == [[1, 2], [0, 2], [1, 0]]


def test_the_sample_takes_languages_in_turn_whatever_the_order_of_the_listings() -> None:
    chosen = choose_sample(LISTINGS, 7)
    assert [listing.language for listing in chosen] == ["de", "en", "ja"] * 2 + ["de"]
    assert choose_sample(LISTINGS[::-1], 7) == chosen


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"locale": "DE", "title": "Hemd"}, ("de", "", [], [])),
        ({"locale": "CA", "title": "shirt", "category": "Clothing > Shirts"}, ("", "Clothing", [], [])),
        ({"language": "ger", "title": "Hemd", "bullets": "warm", "attributes": {"a": 1}}, ("de", "", ["warm"], [("a", "1")])),
        ({"title": "x", "attributes": [{"name": "a", "value": "b"}, 7], "bullets": ["c", None]}, ("", "", ["c"], [("a", "b")])),
    ],
)
def test_records_of_feeds_become_listings(record: dict[str, object], expected: tuple[object, ...]) -> None:
    found = _from_record(record, 0)
    assert found is not None
    assert (found.language, found.group, found.fields["bullets"], found.fields["attributes"]) == expected
    assert _from_record({**record, "title": ""}, 0) is None


def test_inspect_writes_the_page_of_the_listings_of_a_file(trained, tmp_path: Path, capsys) -> None:
    feed = tmp_path / "feed.csv"
    rows = [f"DE,{number},rot hemd {number},Kleidung > Hemden" for number in range(15)]
    feed.write_text("\n".join(["locale,item_id,title,category", *rows]) + "\n")
    out = tmp_path / "page.html"
    arguments = ["inspect", str(trained.student_folder), "--html", str(out), "--listings", str(feed)]
    assert main(arguments) == 0
    assert f"page: {out}" in capsys.readouterr().out
    page = out.read_text(encoding="utf-8")
    assert "rot hemd 14" in page and "Kleidung" in page and "German" in page
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == trained.student.id
    assert out.read_text(encoding="utf-8") == page


@pytest.mark.parametrize("given", [[], ["--set", "small"]], ids=["sample catalogue", "training set"])
def test_inspect_takes_a_training_set_or_makes_listings_of_its_own(given: list[str], trained, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    place = ["--workspace", trained.workspace.root]
    assert main(["inspect", trained.teacher.id, *place, "--html", str(out), "--sample", "30", *given]) == 0
    page = out.read_text(encoding="utf-8")
    assert ("training set small/v1" if given else "the sample catalogue") in page
    assert ("Japanese" if given else "Turkish") in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--html", "{folder}/nowhere/page.html"], "there is no folder {folder}/nowhere"),
        (["--html", "{folder}"], "{folder} is a folder"),
        (["--html", "{folder}/page.html", "--listings", "{folder}/empty.jsonl"], "there is nothing to read in"),
        (["--html", "{folder}/page.html", "--listings", "{folder}/untitled.jsonl"], "has no listings"),
        (["--html", "{folder}/page.html", "--listings", "{folder}/absent.jsonl"], "absent.jsonl"),
        (["--html", "{folder}/page.html", "--set", "absent"], "absent"),
        (["--html", "{folder}/page.html", "--sample", "0"], "--sample is '0'"),
    ],
)
def test_inspect_says_what_is_wrong_and_what_to_do(arguments: list[str], message: str, trained, tmp_path, capsys) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "untitled.jsonl").write_text('{"locale": "DE", "item_id": "1"}\n')
    given = [argument.format(folder=tmp_path) for argument in arguments]
    assert main(["inspect", str(trained.student_folder), "--workspace", str(tmp_path), *given]) == 2
    printed = capsys.readouterr()
    assert message.format(folder=tmp_path) in printed.err and "What to do: " in printed.err
    assert printed.out == "" and not (tmp_path / "page.html").exists()


def test_a_page_without_its_extra_names_it(trained, monkeypatch, capsys) -> None:
    monkeypatch.setattr("m5model.commands.inspect.find_spec", lambda name: None if name == "torch" else io)
    assert main(["inspect", str(trained.student_folder), "--html", "page.html"]) == 2
    assert "takes torch" in capsys.readouterr().err


def test_inspect_without_a_page_loads_no_torch(trained) -> None:
    import subprocess

    code = "import sys; from m5model.cli import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", str(trained.student_folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "to see the model: m5 inspect" in done.stdout
