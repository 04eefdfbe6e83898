"""What training moves: against NumPy, `empirical_ntk`, and powers known for two layers."""

import copy

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from torch import nn

from twolayer.coordinates import CoordCheck, coord_check, movement
from twolayer.kernels import empirical_ntk
from twolayer.network import TwoLayer

D, N, WIDTHS = 4, 40, [16, 64, 256, 1024]


class Net(nn.Module):
    """f = factor * sum_j a_j sigma(w_j . x), entries of a standard Gaussian."""

    def __init__(self, m, factor, activation=torch.tanh, outputs=1):
        super().__init__()
        self.first, self.readout = nn.Linear(D, m), nn.Linear(m, outputs, bias=False)
        nn.init.normal_(self.first.weight, std=D**-0.5)
        nn.init.normal_(self.readout.weight)
        self.factor, self.activation = factor, activation

    def forward(self, x):
        return self.factor * self.readout(self.activation(self.first(x)))


def ntk(m):
    return Net(m, m**-0.5), 0.5


def mean_field(m):
    return Net(m, 1 / m), 0.5 * m


@pytest.fixture
def sample(rng):
    x = rng.standard_normal((N, D))
    return x, np.sin(2 * x[:, 0])


def moved(model, rng, size=0.1):
    end = copy.deepcopy(model)
    for p in end.parameters():
        p.data += size * torch.as_tensor(rng.standard_normal(p.shape), dtype=p.dtype)
    return end


# --- one pair of models


def test_movement_of_a_network_of_the_book_and_of_the_same_module(rng):
    m, x = 6, rng.standard_normal((5, D))
    W, W1, (a, a1, b, b1) = *rng.standard_normal((2, m, D)), rng.standard_normal((4, m))
    start, end = TwoLayer(W, a, "relu", b), TwoLayer(W1, a1, "relu", b1)
    modules = []
    for net in (start, end):
        module = Net(m, m**-0.5, torch.relu).double()
        module.first.weight.data, module.first.bias.data = map(torch.tensor, (net.W, net.b))
        module.readout.weight.data = torch.tensor(net.a)[None]
        modules.append(module)
    rates = {"W": 0.3, "a": 2.0}
    ours = movement(start, end, x, rates=rates)
    theirs = movement(*modules, x, rates={"first.weight": 0.3, "readout.weight": 2.0})
    K, K1 = (empirical_ntk(net, rates)(x) for net in (start, end))
    want = {
        "features": np.linalg.norm(m**0.5 * (end.features(x) - start.features(x)))
        / np.linalg.norm(m**0.5 * start.features(x)),
        "kernel": np.linalg.norm(K1 - K) / np.linalg.norm(K),
    }
    for name, value in want.items():
        assert float(ours[name]) == pytest.approx(value, rel=1e-12)
        assert float(theirs[name]) == pytest.approx(value, rel=1e-12)
    z, z1 = x @ W.T + b, x @ W1.T + b1
    for found in (ours, theirs):
        assert found.activation[0] == pytest.approx(np.sqrt(np.mean(z**2)), rel=1e-12)
        assert found.after[0] == pytest.approx(np.sqrt(np.mean(z1**2)), rel=1e-12)
        assert found.change[0] == pytest.approx(np.sqrt(np.mean((z1 - z) ** 2)), rel=1e-12)
        share = np.linalg.norm(W1 - W) / np.linalg.norm(W)
        assert found.weights[0] == pytest.approx(share, rel=1e-12)
        left = np.linalg.norm(end.features(x)) / np.linalg.norm(start.features(x))
        assert float(found.left) == pytest.approx(left, rel=1e-12)
    assert list(theirs.layer) == ["first", "readout"]


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_kernel_is_that_of_all_gradients(outputs, rng):
    """A deep module whose activations are no modules, by torch.func; one kernel an output."""
    x = rng.standard_normal((6, D))
    start = nn.Sequential(nn.Linear(D, 7), nn.Tanh(), Net(7, 0.5, outputs=outputs)).double()
    start[2].first = nn.Linear(7, 7).double()
    end, kernels = moved(start, rng), []
    for model in (start, end):
        named = dict(model.named_parameters())
        jacobian = torch.func.jacrev(
            lambda p, model=model: torch.func.functional_call(model, p, torch.tensor(x))
        )(named)
        J = np.concatenate(
            [v.detach().numpy().reshape(6, outputs, -1) for v in jacobian.values()], 2
        )
        kernels.append(np.einsum("kop,lop->okl", J, J))
    want = np.linalg.norm(kernels[1] - kernels[0]) / np.linalg.norm(kernels[0])
    found = movement(start, end, x)
    assert float(found.kernel) == pytest.approx(want, rel=1e-10)
    assert list(found.layer) == ["0", "2.first", "2.readout"]
    h, h1 = (
        model[2].activation(model[2].first(model[:2](torch.tensor(x)))) for model in (start, end)
    )
    assert float(found.features) == pytest.approx(((h1 - h).norm() / h.norm()).item(), rel=1e-12)


def test_modules_are_left_as_they_were(rng):
    model = nn.Sequential(nn.Linear(D, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 1))
    before = copy.deepcopy(model.state_dict())
    movement(model, moved(model, rng), rng.standard_normal((6, D)))
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not model[0]._forward_hooks
    assert all(p.grad is None for p in model.parameters())


# --- a regressor of scikit-learn


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_a_regressor_is_the_module_of_its_layers(activation, rng):
    x = rng.standard_normal((N, D))
    models = [
        MLPRegressor(
            hidden_layer_sizes=(5, 3),
            activation=activation,
            max_iter=4,
            random_state=seed,
            solver="lbfgs",
        )
        for seed in (0, 1)
    ]
    with pytest.warns(match="iterations"):  # it has not converged
        models = [model.fit(x, x[:, 0] * x[:, 1]) for model in models]
    found = movement(*models, x)
    after = np.sqrt(np.mean(models[1].predict(x) ** 2))
    assert found.after[-1] == pytest.approx(after, rel=1e-10)
    assert found.layer.size == 3


def test_a_pass_of_a_regressor_is_a_step_from_its_start(sample):
    """One batch without momentum: sklearn's loss is half the mean square."""
    x, y = sample
    eta, seen = 0.3, []

    def make(width):
        return MLPRegressor(
            hidden_layer_sizes=(width,),
            activation="tanh",
            solver="sgd",
            alpha=0,
            batch_size=N,
            momentum=0,
            learning_rate_init=eta,
        )

    def score(model):
        seen.append(model)
        return 0.0

    check = coord_check(
        make, [8, 16, 32], x, y, steps=1, rng=np.random.default_rng(0), seeds=2, score=score
    )
    state = np.random.default_rng(0).integers(2**31, size=(3, 2))[0, 0]
    first = make(8).set_params(random_state=state, learning_rate_init=1e-300).partial_fit(x, y)
    end = seen[0]
    model = nn.Sequential(nn.Linear(D, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    for k, layer in enumerate((model[0], model[2])):  # back to the start: undo the step
        layer.weight.data = torch.tensor(end.coefs_[k].T.copy())
        layer.bias.data = torch.tensor(end.intercepts_[k].copy())
    goal = [p.detach().clone() for p in model.parameters()]
    for _ in range(400):  # start = end + eta gradient(start)
        loss = (model(torch.tensor(x))[:, 0] - torch.tensor(y)).square().mean() / 2
        steps = torch.autograd.grad(loss, list(model.parameters()))
        for p, g, v in zip(model.parameters(), steps, goal, strict=True):
            p.data = v + eta * g
    np.testing.assert_allclose(model[0].weight.detach().T, first.coefs_[0], atol=1e-8)
    share = np.linalg.norm(end.coefs_[0] - model[0].weight.detach().numpy().T)
    share /= model[0].weight.norm().item()
    assert check.table.weights.values[0, 0, 0] == pytest.approx(share, rel=1e-6)


# --- against the width


def test_one_step_is_the_formula(sample):
    """By hand: the change of the neurons, (2 eta / n) factor a_j sigma' sum_i r_i (x_i . x + 1)."""
    x, y = sample
    made = []

    def make(m):
        model, eta = mean_field(m)
        made.append(copy.deepcopy(model.double()))
        return model, eta

    check = coord_check(
        make, WIDTHS, x, y, steps=1, rng=np.random.default_rng(2), seeds=2, probes=N
    )
    for k, net in enumerate(made):
        m = WIDTHS[k // 2]
        W, b, a = (p.detach().numpy() for p in net.parameters())
        h = np.tanh(x @ W.T + b)
        r = h @ a[0] / m - y
        pull = ((1 - h**2) * a) * r[:, None]
        change = -(2 * 0.5 * m / N) / m * (x @ x.T + 1) @ pull
        want = np.sqrt(np.mean(change**2))
        found = check.table.change.transpose("width", "seed", "layer").values[k // 2, k % 2, 0]
        assert found == pytest.approx(want, rel=1e-10)


@pytest.mark.parametrize(
    ("make", "power", "of_kernel", "verdict"), [(ntk, -0.5, -1, "lazy"), (mean_field, 0, 0, "rich")]
)
def test_two_scalings_have_their_powers(make, power, of_kernel, verdict, sample):
    """Neurons move as width^-1/2, and the kernel, a mean of moves of random sign, as width^-1.

    The slack is the next order at the narrowest: 64^-1/2 = 1/8 of a move, over 4 factors of 4.
    """
    widths, slack = [64, 256, 1024, 4096], 1.5 * np.log(1 + 1 / 8) / np.log(64)
    check = coord_check(make, widths, *sample, steps=5, rng=np.random.default_rng(0), seeds=6)
    assert check.verdict == verdict
    want = dict.fromkeys([("features", ""), ("change", "first"), ("weights", "first")], power)
    for key, value in (want | {("kernel", ""): of_kernel}).items():
        row = check.powers.loc[key]
        assert abs(row.power - value) < (row.high - row.low) / 2 + slack, key
    assert check.powers.loc[("activation", "first"), "power"] == pytest.approx(0, abs=0.03)
    assert f"verdict: {verdict}" in str(check)


def test_powers_are_slopes_with_their_intervals(sample):
    check = coord_check(ntk, WIDTHS, *sample, steps=3, rng=np.random.default_rng(0), seeds=2)
    values = check.table.kernel.transpose("width", "seed").values
    design = np.column_stack([np.ones(8), np.repeat(np.log(WIDTHS), 2)])
    coefficients, (rest,), *_ = np.linalg.lstsq(design, np.log(values.ravel()))
    error = np.sqrt(rest / 6 * np.linalg.inv(design.T @ design)[1, 1])
    power, low, high = check.powers.loc[("kernel", "")]
    assert power == pytest.approx(coefficients[1])
    assert high - power == pytest.approx(stats.t(6).ppf(0.975) * error)
    assert power - low == pytest.approx(high - power)


def test_the_same_generator_gives_the_same_table_and_torch_is_left_alone(sample):
    state = torch.get_rng_state()
    checks = [
        coord_check(ntk, WIDTHS[:3], *sample, steps=2, rng=np.random.default_rng(seed))
        for seed in (5, 5, 6)
    ]
    assert checks[0].table.equals(checks[1].table)
    assert not checks[0].table.equals(checks[2].table)
    assert torch.equal(torch.get_rng_state(), state)
    assert dict(checks[0].table.sizes) == {"width": 3, "seed": 3, "layer": 2}


def test_labels_of_classes_an_optimiser_and_a_score(rng):
    x = rng.standard_normal((N, D))
    labels = (x[:, 0] > 0).astype(int)

    def make(m):
        model = Net(m, m**-0.5, outputs=2)
        return model, torch.optim.Adam(model.parameters(), 0.05)

    def right(model):
        with torch.no_grad():
            return float((model(torch.tensor(x).float()).argmax(1).numpy() == labels).mean())

    loss = nn.functional.cross_entropy
    check = coord_check(
        make, [8, 16, 32], x, labels, steps=40, rng=rng, seeds=2, loss=loss, score=right
    )
    assert isinstance(check, CoordCheck)
    assert float(check.table.score.min()) > 0.9
    assert "score" not in check.powers.index


def test_verdicts_at_the_ends(sample):
    def still(m):
        model = Net(m, 1.0)
        model.first.requires_grad_(False)
        return model, 1e-3 / m

    def too_fast(m):
        return Net(m, 1.0), 1e3

    def faster(m):
        return Net(m, 1 / m), 1e-5 * m**2

    rng = np.random.default_rng(0)
    for make, verdict in ((still, "lazy"), (too_fast, "unstable"), (faster, "unstable")):
        check = coord_check(make, WIDTHS[:3], *sample, steps=15, rng=rng, seeds=2)
        assert check.verdict == verdict

    def dead(m):
        model = Net(m, m**-0.5, torch.relu)
        return model, torch.optim.SGD([model.first.weight, model.first.bias], 3 * m)

    assert coord_check(dead, WIDTHS[:3], *sample, steps=9, rng=rng, seeds=2).verdict == "unstable"
    few = coord_check(mean_field, [2, 3, 4], *sample, steps=5, rng=rng, seeds=2)
    assert few.verdict == "undecided"


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"widths": [4, 8]}, ValueError, r"widths=\[4, 8\] must be three or more, ascending"),
        ({"widths": [4, 16, 8]}, ValueError, "must be three or more, ascending"),
        ({"widths": [4, 8.5, 16]}, TypeError, "widths=8.5 must be a positive integer"),
        ({"steps": 0}, ValueError, "steps=0 must be a positive integer"),
        ({"seeds": 1}, ValueError, "seeds=1 must be an integer >= 2"),
        ({"rng": 0}, TypeError, "rng=0 must be a numpy.random.Generator"),
        ({"y": [1.0]}, ValueError, "x has 5 rows and y has 1"),
        ({"make": lambda m: Ridge()}, TypeError, r"make\(4\) gave a Ridge; it must give a torch"),
        ({"make": lambda m: Net(m, 1)}, TypeError, "the step size beside the module=None must be"),
        ({"make": lambda m: (nn.Linear(D, 1), 0.1)}, TypeError, "Linear ran through 1 layers"),
        ({"make": lambda m: (nn.ReLU(), 0.1)}, ValueError, "empty parameter list"),
    ],
)
def test_bad_checks(change, error, words):
    given = {"make": ntk, "widths": [4, 8, 16], "x": np.ones((5, D)), "y": np.ones(5), "steps": 1}
    with pytest.raises(error, match=words):
        coord_check(**given | {"rng": np.random.default_rng(0)} | change)


def test_bad_movements():
    x = np.ones((5, D))
    with pytest.raises(
        TypeError, match=r"start is a list; it must be a torch\.nn\.Module, a fitted"
    ):
        movement([1], Net(3, 1), x)
    with pytest.raises(NotFittedError):
        movement(Net(3, 1), MLPRegressor(), x)
    with pytest.raises(ValueError, match=r"end has layers \['0', '1'\]; start has \['first', 're"):
        movement(Net(3, 1), nn.Sequential(nn.Linear(D, 3), nn.Linear(3, 1)), x)
    with pytest.raises(ValueError, match="rates='W' is unknown; allowed: 'first.weight', 'first.b"):
        movement(Net(3, 1), Net(3, 1), x, rates={"W": 1.0})
    with pytest.raises(ValueError, match=r"rates\['first.bias'\]=-1.0 must be finite and >= 0"):
        movement(Net(3, 1), Net(3, 1), x, rates={"first.bias": -1.0})
