"""Behaviour tokens: contributions of hidden units at probe inputs, and a cloze model that reads them."""

from itertools import product

import numpy as np
import pytest
import torch

from metarep.cloze.behaviour import BehaviourLayout, FunctionLayout
from metarep.cloze.embed import embed_params, leave_one_out, pattern_shares, unit_summaries
from metarep.cloze.heads import Mixture, Rectified
from metarep.cloze.model import ClozeModel, masked_loss
from metarep.cloze.settings import PretrainConfig
from metarep.cloze.tokens import TokenLayout, layout_of
from metarep.errors import MetarepError
from metarep.networks.forward import contributions, forward
from metarep.networks.spec import NetworkSpec
from metarep.networks.symmetry import all_unit_orders, canonical_order, random_scales, random_unit_order

FUNCTION = ("outputs", "gradients")
SPECS = ["2-2-1", "2-5-1", "2-3-4-1", "1-8-1", "2-2-2-1-relu"]


def networks(spec, n=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, NetworkSpec.parse(spec).n_params))


def small_model(seed=0, spec="2-2-1", tokens="behaviour"):
    torch.manual_seed(seed)
    model = ClozeModel(spec, d_model=16, n_layers=2, n_heads=2, n_components=2, tokens=tokens)
    for block in model.blocks:  # fresh relation biases are zero and would hide a mistake
        torch.nn.init.normal_(block.relation_bias)
    model.fit_normalisation(torch.from_numpy(networks(spec, 50)).float())
    return model.eval()


def test_with_one_hidden_layer_contributions_and_the_output_bias_sum_to_the_output():
    params, x = networks("2-5-1"), np.random.default_rng(1).random((7, 2))
    (found,) = contributions(NetworkSpec.parse("2-5-1"), params, x)
    np.testing.assert_allclose(found.sum(-1) + params[:, -1:], forward(NetworkSpec.parse("2-5-1"), params, x)[..., 0])


@pytest.mark.parametrize("text", SPECS)
def test_contributions_are_activation_times_gradient_by_automatic_differentiation(text):
    spec, params = NetworkSpec.parse(text), torch.from_numpy(networks(text))
    x = torch.rand(9, spec.widths[0], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for one, *layers in zip(params, *contributions(spec, params, x), strict=True):
        hidden, values = [], x
        for index, (weight, bias) in enumerate(spec.unpack(one)):
            values = values @ weight.T + bias
            if index < spec.n_layers - 1 or spec.output_relu:
                values = values.relu()
            if index < spec.n_layers - 1:
                values = values.requires_grad_() if values.is_leaf else values
                values.retain_grad()
                hidden.append(values)
        values.sum().backward()
        for h, found in zip(hidden, layers, strict=True):
            torch.testing.assert_close(found, h.detach() * h.grad)


@pytest.mark.parametrize("text", SPECS)
def test_scaling_units_changes_no_token_and_changing_a_weight_does(text):
    spec, params = NetworkSpec.parse(text), networks(text)
    layout = BehaviourLayout(spec, 3, 0.0, 1.0)
    scaled = params * random_scales(spec, 1.0, len(params), rng=np.random.default_rng(2))
    tokens, same = (layout.read(torch.from_numpy(p)) for p in (params, scaled))
    torch.testing.assert_close(same, tokens)
    assert (layout.read(torch.from_numpy(params + 0.1)) - tokens).abs().max() > 0.05


@pytest.mark.parametrize("text", ["2-3-4-1", "2-5-1"])
def test_order_index_moves_tokens_as_the_units_move(text):
    spec, params = NetworkSpec.parse(text), networks(text, 1)
    layout, rng = BehaviourLayout(spec, 3, 0.0, 1.0), np.random.default_rng(3)
    orders = [rng.permutation(width) for width in spec.hidden_widths]
    moved = params[:, TokenLayout(spec).order_index(orders)]
    tokens = layout.read(torch.from_numpy(params))
    torch.testing.assert_close(layout.read(torch.from_numpy(moved)), tokens[:, layout.order_index(orders)])
    assert not torch.equal(tokens, tokens[:, layout.order_index(orders)])


@pytest.mark.parametrize("text", SPECS)
def test_the_layouts_have_one_interface(text):
    for tokens in ("parameters", "behaviour", "outputs", "gradients"):
        layout = layout_of(NetworkSpec.parse(text), tokens)
        for name in ("layer", "kind", "row", "column", "input_unit", "output_unit", "slot_class"):
            assert getattr(layout, name).shape == (layout.n_tokens,), name
        assert layout.relation.shape == (layout.n_tokens,) * 2
        assert len(layout.class_names) == layout.n_classes == layout.slot_class.max() + 1
        assert layout.kind.max() < len(layout.kind_names)
        assert len(layout.hidden_units) == (0 if tokens in FUNCTION else sum(layout.spec.hidden_widths))
        assert layout.read(torch.from_numpy(networks(text))).shape == (6, layout.n_tokens)


@pytest.mark.parametrize("text", [*SPECS, "2-3-2", "2-1"])
def test_tokens_of_the_function_are_outputs_and_their_derivatives_each_by_its_name(text):
    spec, params = NetworkSpec.parse(text), torch.from_numpy(networks(text))
    for layout in (FunctionLayout(spec, 3, -1.0, 1.0, of) for of in FUNCTION):
        x = torch.from_numpy(layout.probes).double().requires_grad_()
        found = layout.read(params).unflatten(-1, (layout.n_quantities, layout.n_points))
        for network, values in zip(params, found, strict=True):
            outputs = forward(spec, network, x)
            columns = list(outputs.T)
            if layout.of == "gradients":
                columns = [part for out in columns for part in torch.autograd.grad(out.sum(), x, retain_graph=True)[0].T]
            torch.testing.assert_close(values, torch.stack(columns).detach(), check_dtype=False)
    assert FunctionLayout(NetworkSpec.parse("2-3-2"), 2, 0.0, 1.0, "gradients").class_names[5] == "df0/dx1(0.25, 0.75)"


def test_a_model_of_the_function_sees_nothing_of_how_it_is_written_and_no_units():
    params = networks("2-2-1").astype(np.float32)
    scaled = (params * random_scales(NetworkSpec.parse("2-2-1"), 1.0, len(params), rng=np.random.default_rng(2))).astype(
        np.float32
    )
    for tokens in FUNCTION:
        model = small_model(tokens=tokens)
        np.testing.assert_allclose(embed_params(model, scaled, "pooled"), embed_params(model, params, "pooled"), atol=1e-4)
        with pytest.raises(MetarepError, match="no hidden units"):
            embed_params(model, params, "states")
        with pytest.raises(ValueError, match=f"behaviour_weight 0 where tokens are {tokens}"):
            PretrainConfig(tokens=tokens, behaviour_weight=1.0)


def test_a_model_of_the_function_reads_other_architectures():
    model, wider = small_model(tokens="gradients"), NetworkSpec.parse("2-3-3-1")
    params = networks("2-3-3-1").astype(np.float32)
    expected = model.normalise(FunctionLayout(wider, 3, 0.0, 1.0, "gradients").read(torch.from_numpy(params)))
    torch.testing.assert_close(model.reading(wider).read(params), expected)


def test_networks_without_hidden_units_and_huge_grids_are_refused():
    with pytest.raises(MetarepError, match="no hidden unit"):
        layout_of(NetworkSpec.parse("2-1"), "behaviour")
    with pytest.raises(MetarepError, match="too many probe inputs"):
        ClozeModel("2-2-1", tokens="behaviour", n_probes=9)


@pytest.mark.parametrize(
    ("tokens", "kind"),
    [
        *product(("parameters", "behaviour"), ("pooled", "states", "profile", "surprisal", "description")),
        *product(FUNCTION, ("pooled", "profile", "surprisal")),
    ],
)
def test_embeddings_know_no_unit_order(tokens, kind):
    model, params = small_model(spec="2-3-1", tokens=tokens), networks("2-3-1").astype(np.float32)
    moved = np.take_along_axis(params, random_unit_order(model.spec, len(params), rng=np.random.default_rng(4)), axis=1)
    straight = embed_params(model, params, kind)
    np.testing.assert_array_equal(embed_params(model, moved, kind), straight)
    assert np.isfinite(straight).all()
    assert straight.std(axis=0).max() > 0


def test_the_control_tokens_in_the_order_of_units_do_change():
    model, params = small_model(), networks("2-2-1")
    swapped = params[:, all_unit_orders(model.spec)[1]]
    gap = leave_one_out(model, model.read(params)).surprisal - leave_one_out(model, model.read(swapped)).surprisal
    assert gap.abs().max() > 1e-3


def test_a_description_is_mean_largest_and_least_of_each_unit():
    layout = BehaviourLayout(NetworkSpec((2, 2, 1)), 2, 0.0, 1.0)
    found = unit_summaries(layout, np.array([[1.0, 2.0, 3.0, 6.0, 0.0, 0.0, 4.0, 4.0]]))
    np.testing.assert_array_equal(found, [[3.0, 2.0, 6.0, 4.0, 1.0, 0.0]])
    params = unit_summaries(TokenLayout(NetworkSpec((2, 2, 1))), np.arange(9.0)[None])
    assert params.shape == (1, 7)
    assert params[0, -1] == 8.0  # the output's bias belongs to no unit


def test_the_four_patterns_of_two_units_share_the_domain():
    off = np.array([[[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]])
    mean, largest = pattern_shares(off)[0].reshape(4, 2).T
    np.testing.assert_allclose(mean, [0.25, 0.25, 0.0, 0.5])  # both off, only the second on, only the first on, both on
    np.testing.assert_allclose(largest, [1.0, 1.0, 0.0, 1.0])


def decoding_model(spec="2-2-1"):
    torch.manual_seed(0)
    model = ClozeModel(spec, d_model=32, n_layers=1, n_heads=2, n_components=2, behaviour=True, n_probes=4)
    model.fit_normalisation(torch.from_numpy(networks(spec, 50)).float())
    return model


@pytest.mark.parametrize(
    ("kind", "width"),
    [("activity", 3 * 5), ("beliefs", 5 * 100), ("patterns", 8 * (3 + 1)), ("effects", 5 * 100), ("function", 100)],
)
def test_beliefs_know_no_unit_order_and_need_a_model_that_was_asked(kind, width):
    model, params = decoding_model("2-3-2-1").eval(), networks("2-3-2-1").astype(np.float32)
    moved = np.take_along_axis(params, random_unit_order(model.spec, len(params), rng=np.random.default_rng(5)), axis=1)
    straight = embed_params(model, params, kind)
    np.testing.assert_array_equal(embed_params(model, moved, kind), straight)
    assert straight.shape[1] == width
    with pytest.raises(MetarepError, match="behaviour_weight"):
        embed_params(small_model(tokens="parameters"), networks("2-2-1"), kind)


def test_one_batch_of_networks_teaches_which_units_are_off_where():
    model, params = decoding_model(), torch.from_numpy(networks("2-2-1", 8)).float()
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    nothing, generator = torch.zeros(8, 9, dtype=torch.bool), torch.Generator().manual_seed(0)

    def belief() -> torch.Tensor:
        probes = torch.from_numpy(model.behaviour.probes)
        return model.decoder(model.units(model.encode(model.read(params), nothing)), probes).log_off.exp()

    off = (model.behaviour.read(params) == 0).view(8, 2, 16)
    before = ((belief() > 0.5) == off).float().mean()
    for _ in range(400):
        units = model.units(model.encode(model.read(params), nothing))
        loss = model.decoder.loss(units, model.behaviour, params, generator=generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after = ((belief() > 0.5) == off).float().mean()
    assert before < 0.8 < 0.9 < after


def test_effects_are_what_the_decoder_expects_units_standing_as_in_beliefs():
    model, params = decoding_model().eval(), networks("2-2-1", 8).astype(np.float32)
    for layer in (model.decoder.unit, model.decoder.mix, model.decoder.head.value.out):
        torch.nn.init.normal_(layer.weight, std=0.5)  # a fresh decoder says nearly the same of all units
    params = np.ascontiguousarray(canonical_order(model.spec, params))
    with torch.no_grad():
        values = model.read(params)
        units = model.units(model.encode(values, torch.zeros_like(values, dtype=torch.bool)))
        told = model.decoder(units, torch.from_numpy(model.behaviour.finer(100).probes))
    off, mean = told.log_off.exp().numpy(), told.expectation().numpy()
    order = np.argsort(off.mean(axis=2), axis=1, kind="stable")
    assert (order[:, 0] == 1).any()  # else the order would not show
    for kind, value in (("beliefs", off), ("effects", mean)):
        expected = np.stack([value[network][order[network]] for network in range(8)])
        np.testing.assert_allclose(embed_params(model, params, kind).reshape(8, 2, 100), expected, atol=1e-5)
    assert np.abs(mean[:, 0] - mean[:, 1]).max(axis=1).min() > 0.1


def test_where_nothing_is_hidden_the_loss_is_that_of_the_behaviour():
    model, params = decoding_model(), torch.from_numpy(networks("2-2-1", 8)).float()
    values, nothing = model.read(params), torch.zeros(8, 9, dtype=torch.bool)
    asked, drawn = {"behaviour_weight": 2.0}, lambda: {"generator": torch.Generator().manual_seed(0)}
    loss = masked_loss(model, values, nothing, **asked, **drawn())
    behaviour = model.decoder.loss(model.units(model.encode(values, nothing)), model.behaviour, params, **drawn())
    torch.testing.assert_close(loss, 2 * behaviour)
    assert masked_loss(model, values, nothing) == 0
    nothing[0, 0] = True
    assert masked_loss(model, values, nothing, **asked, **drawn()) != loss  # the control: one hidden value counts


class Exact(torch.nn.Module):
    """A decoder that knows what the units of networks (N, P) contribute, whatever their states."""

    def __init__(self, layout, params):
        super().__init__()
        self.layout, self.params = layout, torch.from_numpy(params)

    def forward(self, units, probes):
        value = self.layout.contributions_at(self.params, probes)
        never = torch.full_like(value, -50.0)
        return Rectified(never, torch.zeros_like(value), Mixture(never[..., None] * 0, value[..., None], never[..., None]))


@pytest.mark.parametrize("spec", ["1-6-1", "2-3-4-1"])
def test_the_function_of_an_exact_decoder_is_the_output_without_its_bias(spec):
    model, params = decoding_model(spec).eval(), networks(spec, 8).astype(np.float32)
    params = np.ascontiguousarray(canonical_order(model.spec, params))
    model.decoder = Exact(model.behaviour, params)
    probes = model.behaviour.finer(100).probes
    outputs = forward(model.spec, params, probes)[..., 0]
    np.testing.assert_allclose(embed_params(model, params, "function"), outputs - params[:, -1:], atol=1e-5)
    assert np.abs(params[:, -1]).min() > 1e-3  # else it would not show that the bias is left out


def test_a_function_is_the_sum_of_the_effects_of_the_last_hidden_layer():
    model, params = decoding_model("2-3-4-1").eval(), networks("2-3-4-1", 8).astype(np.float32)
    effects = embed_params(model, params, "effects").reshape(8, 7, 100)
    function = embed_params(model, params, "function")
    np.testing.assert_allclose(function, effects[:, 3:].sum(axis=1), atol=1e-5)
    assert np.abs(function - effects.sum(axis=1)).max() > 1e-2  # the control: units of earlier layers count too
