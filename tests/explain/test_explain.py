"""Maps of networks whose answer is known, what is made of them, and networks rebuilt from ONNX files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from helpers.datasets import made, noise, votes_for
from mien.errors import DataError, InputError, ModelError
from mien.explain import model as opened
from mien.explain.class_averages import LEAST, averages
from mien.explain.contact_sheets import agreement, pick
from mien.explain.faithfulness import CENTRE, RANDOM, curves
from mien.explain.from_onnx import rebuild
from mien.explain.layers import chosen_layer, convolutions, weighted
from mien.explain.methods import METHODS, chosen_methods, maps
from mien.explain.model import Explainable, open_explainable, targets_of
from mien.explain.regions import coverage, maps_of, onto_input, quadrilaterals, statistics
from mien.explain.sampling import sample, sample_classes, truth
from mien.explain.sanity import _spearman, cascade, shuffled
from mien.labels import FERPLUS
from mien.models.card import Head
from mien.models.catalog import MODELS, read_model
from mien.models.crop_frames import FRAMES
from mien.models.model import Model
from mien.networks.catalog import NETWORKS, get_network
from mien.recipes.catalog import RECIPES

SIZE = 24
PATCH = (slice(6, 12), slice(12, 18))


class Patch(nn.Module):
    """Class "yes" is the brightness of a patch, through a convolution that copies and a ReLU; "no" is its negative."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1, bias=False)
        self.relu = nn.ReLU()
        self.heads = nn.ModuleDict({"answer": nn.Linear(SIZE * SIZE, 2, bias=False)})
        weight = torch.zeros(2, SIZE, SIZE)
        weight[0][PATCH], weight[1][PATCH] = 0.02, -0.02
        with torch.no_grad():
            self.conv.weight.fill_(1.0)
            self.heads["answer"].weight.copy_(weight.flatten(1))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.relu(self.conv(x)).flatten(1)
        return {"answer": self.heads["answer"](y)}


def explainable(module: nn.Module, name: str = "toy", size: int = SIZE, channels: int = 1) -> Explainable:
    heads = (Head("answer", ("yes", "no")),)
    return Explainable(
        "toy", "emotion", name, module.eval(), size, (0.25,) * channels, (0.25,) * channels, heads, FRAMES["emotion"]
    )


@pytest.fixture
def toy() -> Explainable:
    return explainable(Patch())


@pytest.fixture
def bright() -> NDArray[np.uint8]:
    """Three images that are bright in the patch and, less so, elsewhere."""
    images = np.full((3, SIZE, SIZE, 1), 90, np.uint8)
    images[(slice(None), *PATCH)] = 200
    return images


def outside() -> NDArray[np.bool_]:
    mask = np.ones((SIZE, SIZE), np.bool_)
    mask[PATCH] = False
    return mask


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("occlusion", "grad-cam")])
def test_gradients_find_the_patch(method: str, toy: Explainable, bright: NDArray[np.uint8]) -> None:
    found = maps(toy, toy.head(), bright, np.zeros(3, np.int64), method)
    assert (found.shape, found.dtype) == ((3, SIZE, SIZE), np.float32)
    assert (found[(slice(None), *PATCH)] > 0).all()
    assert not found[:, outside()].any()


def test_occlusion_and_grad_cam_are_greatest_at_the_patch(toy: Explainable, bright: NDArray[np.uint8]) -> None:
    for method in ("occlusion", "grad-cam"):
        found = maps(toy, toy.head(), bright, np.zeros(3, np.int64), method)
        assert found[(slice(None), *PATCH)].mean() > 2 * found[:, outside()].mean() >= 0


def test_signed_maps_speak_against_the_other_class(toy: Explainable, bright: NDArray[np.uint8]) -> None:
    for method in ("integrated-gradients", "occlusion"):
        found = maps(toy, toy.head(), bright, np.array([0, 1, 0]), method)
        assert found[0].sum() > 0 > found[1].sum()
        np.testing.assert_allclose(found[0], -found[1], atol=1e-5)


def test_integrated_gradients_sum_to_the_score(toy: Explainable, bright: NDArray[np.uint8]) -> None:
    found = maps(toy, toy.head(), bright, np.zeros(3, np.int64), "integrated-gradients")
    with torch.no_grad():
        score = toy.module(toy.input(bright))["answer"][:, 0].numpy()
    np.testing.assert_allclose(found.sum(axis=(1, 2)), score, rtol=1e-3)


def test_maps_of_no_face(toy: Explainable) -> None:
    for method in METHODS:
        none = np.zeros((0, SIZE, SIZE, 1), np.uint8)
        assert maps(toy, toy.head(), none, np.zeros(0, np.int64), method).shape == (0, SIZE, SIZE)


def test_layers(toy: Explainable, bright: NDArray[np.uint8]) -> None:
    x = toy.input(bright)
    assert convolutions(toy.module, x) == ("conv",)
    assert weighted(toy.module, x) == ("conv", "heads.answer")
    assert chosen_layer(toy.module, x, None) == "conv"
    assert chosen_layer(toy.module, x, "relu") == "relu"
    for wrong in ("nonsense", "heads.answer"):
        with pytest.raises(InputError, match="the convolutions are conv"):
            chosen_layer(toy.module, x, wrong)


def test_the_last_convolution_is_the_last_that_computes() -> None:
    # the localisation is defined after the features, and computes before them
    row = get_network("attention-parallel")
    module = row.build(row.heads).eval()
    assert chosen_layer(module, torch.zeros(1, 1, 48, 48), None).startswith("extract.")


class _Count(TorchFunctionMode):
    """Counts ReLUs that are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.calls += func in (torch.relu, torch.relu_, nn.functional.relu, Tensor.relu)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", [name for name, row in NETWORKS.items() if not row.features])
def test_guided_backprop_can_hook_every_relu(name: str) -> None:
    row = NETWORKS[name]
    with torch.device("meta"):
        module = row.build(row.heads).eval()
        hooked = [0]
        for layer in module.modules():
            if isinstance(layer, nn.ReLU):
                layer.register_forward_hook(lambda *_: hooked.__setitem__(0, hooked[0] + 1))
        with _Count() as counted:
            module(torch.empty(1, 1 if row.channels == "gray" else 3, row.size, row.size))
    assert counted.calls == hooked[0] > 0


def test_methods_that_were_asked_for(toy: Explainable) -> None:
    assert chosen_methods(toy, ("all",)) == tuple(METHODS)
    assert chosen_methods(toy, ("occlusion", "saliency")) == ("saliency", "occlusion")
    with pytest.raises(InputError, match="no spatial transformer"):
        chosen_methods(toy, ("regions",))
    with pytest.raises(InputError, match="there are saliency"):
        chosen_methods(toy, ("guess",))
    with pytest.raises(InputError, match="there are saliency"):
        maps(toy, toy.head(), np.zeros((1, SIZE, SIZE, 1), np.uint8), np.zeros(1, np.int64), "guess")


def test_targets() -> None:
    p = np.array([[0.1, 0.9], [0.8, 0.2]], np.float32)
    np.testing.assert_array_equal(targets_of("predicted", ("a", "b"), p), [[1], [0]])
    np.testing.assert_array_equal(targets_of("all", ("a", "b"), p), [[0, 1], [0, 1]])
    np.testing.assert_array_equal(targets_of("b", ("a", "b"), p), [[1], [1]])
    with pytest.raises(InputError, match="one of a, b"):
        targets_of("c", ("a", "b"), p)


# networks again from ONNX files


@pytest.mark.parametrize("name", [name for name in MODELS if not name.endswith("-int8")])
def test_shipped_models_can_be_differentiated(name: str) -> None:
    model = open_explainable(name)
    loaded = Model(read_model(name), threads=1)
    images = noise(3, model.size, model.size, model.channels, seed=5)
    for head in model.heads:
        np.testing.assert_allclose(model.probabilities(model.input(images), head), loaded(images)[head.name], atol=1e-5)
        found = maps(model, head, images[:1], np.zeros(1, np.int64), "saliency")
        assert found.max() > 0


def test_a_network_in_8_bits_is_refused() -> None:
    with pytest.raises(ModelError, match="explain the network that it was made from"):
        open_explainable("emotion-int8")


def test_a_file_of_another_network_is_refused() -> None:
    model = onnx.load_from_string(read_model("age"))
    model.graph.initializer[0].name = "other"
    for node in model.graph.node:
        node.input[:] = ["other" if name == "module.stem.0.weight" else name for name in node.input]
    with pytest.raises(ModelError, match="give the run folder"):
        rebuild(model.SerializeToString(), "other.onnx")


def test_a_file_that_computes_something_else_is_refused() -> None:
    model = onnx.load_from_string(read_model("age"))
    added = onnx.helper.make_node("Add", ["raw", "raw"], ["age"])
    for node in model.graph.node:
        node.output[:] = ["raw" if name == "age" else name for name in node.output]
    model.graph.node.append(added)
    with pytest.raises(ModelError, match="logits would differ"):
        rebuild(model.SerializeToString(), "other.onnx")


def test_a_file_of_an_unknown_recipe_is_refused() -> None:
    content = read_model("age").replace(b'"recipe": "age-cpu"', b'"recipe": "age-xyz"')
    with pytest.raises(ModelError, match="give the run folder"):
        rebuild(content, "other.onnx")


# where the transformer looks


def attention(name: str, theta: tuple[float, ...]) -> Explainable:
    module = get_network(name).build({"answer": 2})
    with torch.no_grad():
        module.localise[-1].bias.copy_(torch.tensor(theta))  # type: ignore[union-attr,operator,index]
    return explainable(module, name, size=48)


IDENTITY, HALF = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0.5, 0.0, 0.5, 0.0, 0.5, -0.5)


def test_the_region_of_the_identity() -> None:
    x = torch.zeros(2, 1, 48, 48)
    for name, low, high in (("attention-sequential", 0, 48), ("attention-parallel", 6, 42), ("attention-deep", 6, 42)):
        corners = quadrilaterals(maps_of(attention(name, IDENTITY), x), 48)
        wanted = [[low, low], [high, low], [high, high], [low, high]]
        np.testing.assert_allclose(corners, [wanted, wanted], atol=1e-4)


def test_the_upper_right_quarter() -> None:
    found = maps_of(attention("attention-sequential", HALF), torch.zeros(1, 1, 48, 48))
    corners = quadrilaterals(found, 48)
    np.testing.assert_allclose(corners[0], [[24, 0], [48, 0], [48, 24], [24, 24]], atol=1e-4)
    share = coverage(corners, 48)[0]
    assert share[:23, 25:].min() == 1
    assert share[26:].max() == share[:, :22].max() == 0
    told = statistics(found)
    assert {key: one["mean"] for key, one in told.items()} == pytest.approx(
        {"width": 0.5, "height": 0.5, "right": 0.25, "down": -0.25, "turn": 0, "area": 0.25}
    )


def test_a_turn_is_given_in_degrees() -> None:
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    told = statistics(np.array([[[c, -s, 0], [s, c, 0]]], np.float32))
    assert told["turn"]["mean"] == pytest.approx(30, abs=1e-3)
    assert told["area"]["mean"] == pytest.approx(1, abs=1e-3)


def test_maps_behind_the_transformer_go_back_to_their_pixels() -> None:
    model = attention("attention-sequential", HALF)
    x, ones = torch.zeros(1, 1, 48, 48), torch.ones(1, 1, 48, 48)
    back = onto_input(model.module, x, "extract.0", ones)[0, 0]
    assert back[:23, 25:].min() > 0.99
    assert back[26:].abs().max() == back[:, :22].abs().max() == 0
    assert onto_input(model.module, x, "localise.0", ones) is ones


# faithfulness and sanity


def test_the_true_map_beats_orders_that_know_nothing(toy: Explainable) -> None:
    random = np.random.default_rng(0)
    crops = random.integers(60, 120, (12, SIZE, SIZE, 1)).astype(np.uint8)
    crops[(slice(None), *PATCH)] = 200
    true = np.zeros((12, SIZE, SIZE), np.float32)
    true[(slice(None), *PATCH)] = 1
    found = curves(toy, toy.head(), crops, np.zeros(12, np.int64), {"true": true, "false": -true}, steps=8)
    orders = found["orders"]
    assert list(orders) == [RANDOM, CENTRE, "true", "false"]
    for way, sign in (("deletion", 1), ("insertion", -1)):
        areas = {name: sign * one[way]["auc"] for name, one in orders.items()}
        assert areas["true"] < areas[RANDOM] < areas["false"]
        assert (orders["true"][way]["better"], orders["false"][way]["better"]) == (1, 0)
        low, high = orders["true"][way]["interval"]
        assert low <= orders["true"][way]["auc"] <= high
    with torch.no_grad():
        whole = toy.probabilities(toy.input(crops), toy.head())[:, 0].mean()
    for one in orders.values():
        assert one["deletion"]["curve"][0] == one["insertion"]["curve"][-1] == pytest.approx(whole, abs=1e-4)
        assert one["deletion"]["curve"][-1] == pytest.approx(0.5)
    assert found["share"][-1] == 1


def test_shuffling_keeps_the_values_and_the_network() -> None:
    module = get_network("attention-parallel").build({"answer": 2})
    before = module.state_dict()["dense.weight"].clone()
    other = shuffled(module, ["dense"], 0)
    after = other.state_dict()["dense.weight"]
    assert torch.equal(module.state_dict()["dense.weight"], before)
    assert not torch.equal(after, before)
    assert torch.equal(after.flatten().sort().values, before.flatten().sort().values)
    assert torch.equal(other.state_dict()["extract.0.weight"], module.state_dict()["extract.0.weight"])


def test_maps_of_gradients_change_when_weights_are_shuffled() -> None:
    torch.manual_seed(0)
    model = attention("attention-parallel", IDENTITY)
    crops = noise(4, 48, 48, 1, seed=3)
    found = cascade(model, model.head(), crops, np.zeros(4, np.int64), ("saliency",), stages=3)
    assert found["shuffled"] == [1, 6, 11]
    assert found["layers"][0] == "heads.answer"
    one = found["methods"]["saliency"]
    assert len(one["spearman"]) == len(one["ssim"]) == 3
    assert abs(one["spearman"][-1]) < 0.5
    assert all(-1 <= value <= 1 for value in (*one["spearman"], *one["ssim"]))


def test_likeness_of_maps() -> None:
    a = np.random.default_rng(0).random((2, 8, 8)).astype(np.float32)
    assert _spearman(a, a) == pytest.approx(1)
    assert _spearman(a, -(a**3)) == pytest.approx(1), "magnitudes are compared"
    assert _spearman(a, 1 - a) == pytest.approx(-1)
    flat = a.copy()
    flat[0] = 0
    assert _spearman(a, flat) == pytest.approx(0.5), "a flat map correlates with nothing"
    assert _spearman(a, np.zeros_like(a)) == 0


# averages and sheets


def test_averages_leave_small_classes_out(toy: Explainable, bright: NDArray[np.uint8]) -> None:
    crops = np.repeat(bright[:1], LEAST + 3, axis=0)
    crops[0] = 120
    classes = np.array([0] * LEAST + [1] * 3)
    found = averages(toy, toy.head(), crops, classes, ("integrated-gradients",))
    assert (found.labels, found.counts.tolist(), found.too_few) == (("yes",), [LEAST], (("no", 3),))
    assert found.maps.shape == (1, 1, SIZE, SIZE)
    assert found.maps[0, 0][PATCH].min() == pytest.approx(1, abs=1e-3)
    assert not found.maps[0, 0][outside()].any()
    np.testing.assert_array_equal(found.faces[0], np.round(crops[:LEAST].mean(axis=0)))


def test_samples() -> None:
    assert sample(5, 9, 0).tolist() == [0, 1, 2, 3, 4]
    assert sample(100, 7, 1).tolist() == sample(100, 7, 1).tolist() != sample(100, 7, 2).tolist()
    classes = np.array([0] * 50 + [1] * 2 + [-1] * 9)
    rows = sample_classes(classes, 3, 4, 0)
    assert np.bincount(classes[rows]).tolist() == [4, 2]


def test_truth_is_the_datasets_own() -> None:
    data = made(14)
    assert truth(data, ("happy", "angry")).tolist()[:7] == [1, -1, -1, 0, -1, -1, -1]
    assert (truth(data, ("0-2", "3-9")) == -1).all()
    assert data.emotion is not None
    voted = replace(data, votes=votes_for(data.emotion))
    names = np.array(FERPLUS.names)[truth(voted, FERPLUS.names)]
    assert names.tolist()[:2] == ["angry", "disgust"]


def test_sheets() -> None:
    data = made(14)
    assert data.emotion is not None
    data = replace(data, votes=votes_for(data.emotion))
    assert data.votes is not None
    data.votes[4] = [3, 3, 3, 0, 0, 0, 0, 0, 1, 0]
    true = truth(data, FERPLUS.names)
    p = np.full((14, 8), 0.02, np.float32)
    p[np.arange(14), true] = 0.86
    p[3], p[5] = 0.01, 0.1
    p[3, (true[3] + 1) % 8], p[5, (true[5] + 1) % 8] = 0.93, 0.3
    wrong = pick("errors", data, p, FERPLUS.names, 9, 0)
    assert [one["index"] for one in wrong] == [3, 5]
    assert wrong[0]["true"] == FERPLUS.names[true[3]] != wrong[0]["predicted"]
    assert pick("ambiguous", data, p, FERPLUS.names, 1, 0)[0]["index"] == 5
    disputed = pick("disputed", data, p, FERPLUS.names, 2, 0)
    assert (disputed[0]["index"], disputed[0]["agreement"], disputed[0]["true"]) == (4, 0.3, None)
    assert len(pick("predictions", data, p, FERPLUS.names, 5, 0)) == 5
    with pytest.raises(DataError, match="no FER\\+ votes"):
        pick("disputed", made(14), p, FERPLUS.names, 5, 0)
    with pytest.raises(DataError, match="no image is wrong"):
        pick("errors", made(14), p, ("a", "b", *"cdefgh"), 5, 0)


def test_agreement_is_the_share_of_the_most_frequent_answer() -> None:
    np.testing.assert_allclose(agreement(np.array([[8, 2], [0, 0]])), [0.8, 0])


def test_what_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="give emotion, age"):
        open_explainable("nothing")
    (tmp_path / "model.skops").write_bytes(b"")
    with pytest.raises(InputError, match="support-vector"):
        open_explainable(tmp_path)
    chosen = next(r for r in RECIPES.values() if get_network(r.network).features)
    # the network itself is large, and what it computes is not asked
    monkeypatch.setattr(opened, "load_run", lambda path: (chosen, nn.Identity(), path))
    with pytest.raises(InputError, match="features beside the pixels"):
        open_explainable(Path.cwd())
