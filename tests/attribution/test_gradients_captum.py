"""The gradient family against captum on a stock Gemma 3, captum running the bare module on its own."""

import numpy as np
import pytest
import torch
from bare_module import BareScore, on_grid
from captum.attr import (
    InputXGradient,
    IntegratedGradients,
    LayerGradCam,
    LayerGradientXActivation,
    NoiseTunnel,
    Saliency,
)
from tiny_gemma import sampled

from radiolucent.attribution.grad_cam import grad_cam
from radiolucent.attribution.input_x_gradient import input_x_gradient
from radiolucent.attribution.integrated_gradients import integrated_gradients
from radiolucent.attribution.saliency import saliency
from radiolucent.attribution.smooth_grad import smooth_grad
from radiolucent.vlm.types import Target

pytestmark = pytest.mark.filterwarnings("ignore")  # captum: inputs did not require gradients, baselines, hooks

TARGETS = [Target((2, 5)), Target((2, 5), foil=(300, 301)), Target((3, 4), foil=(302,))]
ORDERS = {"l2": 2, "l1": 1, "max": float("inf")}


@pytest.fixture(params=[1, 2], ids=["one image", "two images"])
def case(request):
    return sampled(request.param)


@pytest.fixture(params=TARGETS, ids=str)
def target(request):
    return request.param


@pytest.fixture(params=["logprob", "logit"])
def score(request):
    return request.param


def same(made, expected, relative=1e-5):
    expected = np.asarray(expected.detach() if isinstance(expected, torch.Tensor) else expected)
    scale = float(np.abs(expected).max())
    np.testing.assert_allclose(made.values, on_grid(expected, len(made.geometry)), rtol=relative, atol=relative * scale)


@pytest.mark.parametrize("norm", ORDERS)
def test_saliency(case, target, score, norm):
    model, features, generation = case
    bare = BareScore(model, features, generation, target, score)
    gradient = Saliency(bare.of_soft).attribute(bare.soft, abs=False)[0]
    expected = torch.linalg.vector_norm(gradient, ord=ORDERS[norm], dim=-1)
    same(saliency(model, features, generation, target, score=score, norm=norm), expected)


def test_input_x_gradient(case, target, score):
    model, features, generation = case
    bare = BareScore(model, features, generation, target, score)
    expected = InputXGradient(bare.of_soft).attribute(bare.soft)[0].sum(dim=-1)
    same(input_x_gradient(model, features, generation, target, score=score), expected)


def test_integrated_gradients_and_their_completeness_gap(case, target, score):
    model, features, generation = case
    bare = BareScore(model, features, generation, target, score)
    captums, delta = IntegratedGradients(bare.of_soft).attribute(
        bare.soft, baselines=bare.mean, n_steps=9, method="gausslegendre", return_convergence_delta=True
    )
    made = integrated_gradients(model, features, generation, target, steps=9, batch=4, score=score)
    same(made, captums[0].sum(dim=-1), 2e-5)
    added, change = (
        float(part.split(" ")[0]) for part in made.note.split("\n")[0].replace("by ", "to ").split("to ")[1:]
    )
    assert added - change == pytest.approx(float(delta[0]), abs=2e-3)  # the note has three decimals


@pytest.mark.parametrize(("copies", "noise", "batch"), [(5, 0.2, 2), (3, 0.6, 3)])
def test_smooth_grad(target, score, copies, noise, batch):
    model, features, generation = sampled(1)
    bare = BareScore(model, features, generation, target, score)
    torch.manual_seed(7)  # captum draws all copies at once from the global stream
    captums = NoiseTunnel(Saliency(bare.of_soft)).attribute(
        bare.soft,
        nt_type="smoothgrad",
        nt_samples=copies,
        stdevs=noise * float(bare.soft.std(correction=0)),
        abs=False,
    )
    made = smooth_grad(
        model, features, generation, target, copies=copies, noise=noise, seed=7, batch=batch, score=score
    )
    same(made, captums[0].norm(dim=-1))


class Channelled(torch.nn.Module):
    """A vision layer whose output also passes as (images, channels, rows, columns), as captum's Grad-CAM wants it."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.as_picture = layer, torch.nn.Identity()

    def forward(self, *inputs, **more):
        patches = self.layer(*inputs, **more)
        edge = round(patches.shape[1] ** 0.5)
        picture = self.as_picture(patches.transpose(1, 2).unflatten(2, (edge, edge)))
        return picture.flatten(2).transpose(1, 2)


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("layer", [0, 1])
def test_grad_cam(case, target, layer, relu, score):
    model, features, generation = case
    bare = BareScore(model, features, generation, target, score)
    layers = bare.module.model.vision_tower.encoder.layers
    layers[layer] = Channelled(layers[layer])
    cam = LayerGradCam(bare.of_pixels, layers[layer].as_picture).attribute(bare.pixels, relu_attributions=relu)
    expected = torch.nn.functional.avg_pool2d(cam, 2)  # four patches make a cell of the tiny model
    same(grad_cam(model, features, generation, target, layer=layer, relu=relu, score=score), expected)


def test_grad_cam_with_each_patchs_own_gradient(case, target):
    model, features, generation = case
    bare = BareScore(model, features, generation, target)
    products = LayerGradientXActivation(bare.of_pixels, bare.module.model.vision_tower.encoder.layers[0]).attribute(
        bare.pixels
    )
    expected = torch.nn.functional.avg_pool2d(products.sum(dim=-1).unflatten(1, (8, 8))[:, None], 2)
    same(grad_cam(model, features, generation, target, layer=0, weights="local", relu=False), expected)


def test_grad_cam_at_a_layer_of_the_language_model(case):
    model, features, generation = case
    target, layer = Target((2, 5)), 0
    bare = BareScore(model, features, generation, target)
    products = LayerGradientXActivation(bare.of_soft, bare.module.model.language_model.layers[layer]).attribute(
        bare.soft
    )
    places = [place for first, last in generation.image_spans for place in range(first, last)]
    made = grad_cam(model, features, generation, target, layer=layer, tower="language", weights="local", relu=False)
    same(made, products[0, places].sum(dim=-1))
