"""What training moves: against NumPy, `empirical_ntk`, and powers known for two layers."""

import copy

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch import nn

from twolayer.coordinates import CoordCheck, coord_check, movement, untrained
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


class Raw(nn.Module):
    """Two layers, and a parameter of its own as the readout."""

    def __init__(self, shape):
        super().__init__()
        self.one, self.two = nn.Linear(D, 5), nn.Linear(5, 7)
        self.a = nn.Parameter(torch.randn(shape))

    def forward(self, x):
        return torch.relu(self.two(torch.relu(self.one(x)))) @ self.a


class Skip(Net):
    """A second way to the output, run after the readout."""

    def __init__(self, m):
        super().__init__(m, 1.0)
        self.skip = nn.Linear(D, 1)

    def forward(self, x):
        return super().forward(x) + self.skip(x)


@pytest.mark.parametrize("shape", [7, (7, 1)])
def test_a_readout_that_is_no_layer_is_refused(shape, rng):
    start = Raw(shape)
    with pytest.raises(
        ValueError, match=r"change the output, but not what '.*' takes, the last la"
    ):
        movement(start, moved(start, rng), rng.standard_normal((5, D)))


def test_the_readout_is_named_where_another_layer_runs_last(rng):
    x, start = rng.standard_normal((5, D)), Skip(6)
    end = moved(start, rng)
    with pytest.raises(
        ValueError, match=r"'readout.weight'\] change the output, but not what 'skip'"
    ):
        movement(start, end, x)
    found = movement(start, end, x, readout="readout")
    h, h1 = (v.activation(v.first(torch.tensor(x).float())) for v in (start, end))
    assert float(found.features) == pytest.approx(((h1 - h).norm() / h.norm()).item(), rel=1e-5)
    plain = movement(start.double(), end.double(), x, readout="readout").layer.values
    assert list(plain) == ["first", "readout", "skip"]


def test_a_skip_to_the_readout_and_what_does_not_count_are_no_fault(rng):
    """A part that is not run, a scalar, a norm before the readout, an embedding of positions."""

    class Deep(Net):
        def __init__(self, m):
            super().__init__(m, 1.0)
            self.skip, self.unused = nn.Linear(D, m), nn.Linear(2, 2)
            self.norm, self.place = nn.LayerNorm(m), nn.Parameter(torch.randn(D))
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x):
            h = self.norm(self.first(x + self.place) + self.skip(x))
            return self.scale * self.readout(torch.relu(h))

    start = Deep(6)
    assert float(movement(start, moved(start, rng), rng.standard_normal((5, D))).features) > 0


def test_running_statistics_that_move_are_warned_of(rng):
    x = torch.tensor(rng.standard_normal((6, D))).float()
    start = nn.Sequential(nn.Linear(D, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 1))
    end = copy.deepcopy(start)
    end(x)  # in training mode: no weight moves
    with pytest.warns(UserWarning, match=r"\['1.running_mean', '1.running_var'\] have moved"):
        assert float(movement(start, end, x).features) > 0
    start[1].eval()  # frozen: stays so
    movement(start, copy.deepcopy(start), x)
    assert start.training
    assert not start[1].training


# --- a regressor of scikit-learn


def test_untrained_is_the_start_of_the_fit(sample):
    """One step on all samples is linear in its size: twice that of eta, less that of 2 eta."""
    given = {"solver": "sgd", "momentum": 0, "batch_size": N, "max_iter": 1, "random_state": 3}
    ends = [
        MLPRegressor(hidden_layer_sizes=(6,), learning_rate_init=eta, **given) for eta in (0.1, 0.2)
    ]
    with pytest.warns(match="reached"):
        ends = [model.fit(*sample) for model in ends]
    model = MLPRegressor(hidden_layer_sizes=(6,), random_state=3, early_stopping=True)
    start = untrained(model, *sample)
    for k in range(2):
        np.testing.assert_allclose(start.coefs_[k], 2 * ends[0].coefs_[k] - ends[1].coefs_[k])
    assert start.get_params() == model.get_params()
    assert not hasattr(model, "coefs_")
    with pytest.raises(TypeError, match="random_state=None must be an integer"):
        untrained(MLPRegressor(), *sample)
    with pytest.raises(TypeError, match=r"model=Ridge\(\) must be an MLPRegressor or MLPClass"):
        untrained(Ridge(), *sample)


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
    for make, verdict in ((still, "lazy"), (too_fast, "unstable"), (faster, "growing")):
        check = coord_check(make, WIDTHS[:3], *sample, steps=15, rng=rng, seeds=2)
        assert check.verdict == verdict

    def dead(m):
        model = Net(m, m**-0.5, torch.relu)
        return model, torch.optim.SGD([model.first.weight, model.first.bias], 3 * m)

    assert coord_check(dead, WIDTHS[:3], *sample, steps=9, rng=rng, seeds=2).verdict == "unstable"
    few = coord_check(mean_field, [2, 3, 4], *sample, steps=5, rng=rng, seeds=2)
    assert few.verdict == "undecided"


def test_losses_are_kept_and_a_rise_is_unstable(sample):
    """By hand, before and after; a step size at which the loss rises though features stay."""
    x, y = sample
    made, seen = [], []

    def make(m):
        model, eta = ntk(m)
        made.append(copy.deepcopy(model))
        return model, eta

    def score(model):
        seen.append(model)
        return 0.0

    def losses(models):
        with torch.no_grad():
            f = [v(torch.tensor(x).float())[:, 0].numpy() for v in models]
        return [np.mean((v - y) ** 2) for v in f]

    given = {"rng": np.random.default_rng(0), "seeds": 2}
    check = coord_check(make, WIDTHS[:3], x, y, steps=4, score=score, **given)
    for found, want in ((check.table.loss_start, made), (check.table.loss_end, seen)):
        found = found.transpose("width", "seed").values.ravel()
        np.testing.assert_allclose(found, losses(want), rtol=1e-5)
    assert (check.table.loss_end < check.table.loss_start).all()
    assert not {"loss_start", "loss_end"} & set(check.powers.index.get_level_values(0))
    words = str(check)
    for key in ("features", "kernel", "left", "loss_start", "loss_end"):
        mean = float(check.table[key].mean("seed").sel(width=64))
        row = next(v for v in words.split("mean over seeds")[1].splitlines() if v.startswith(key))
        assert f"{mean:.3g}" in row

    def overshot(m):
        model, _ = mean_field(m)
        return model, torch.optim.SGD([model.readout.weight], 10.0 * m)

    check = coord_check(overshot, WIDTHS[:3], x, y, steps=1, **given)
    assert (check.table.loss_end > check.table.loss_start).any()
    assert check.verdict == "unstable"


def test_a_loop_of_your_own_is_the_same_as_steps(sample):
    x, y = sample
    inputs, goal = torch.tensor(x).float(), torch.tensor(y).float()

    def train(model, optimiser):
        for _ in range(3):
            optimiser.zero_grad()
            (model(inputs)[:, 0] - goal).square().mean().backward()
            optimiser.step()

    given = [{"steps": 3}, {"train": train}]
    tables = [
        coord_check(ntk, WIDTHS[:3], x, y, rng=np.random.default_rng(0), **how).table
        for how in given
    ]
    assert tables[0].identical(tables[1])


def test_lbfgs_has_its_closure(sample):
    def make(m):
        model = Net(m, m**-0.5)
        return model, torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)

    check = coord_check(make, WIDTHS[:3], *sample, steps=2, rng=np.random.default_rng(0), seeds=2)
    assert (check.table.loss_end < 0.8 * check.table.loss_start).all()


def test_whole_numbers_without_a_loss_are_numbers(sample):
    x, signs = sample[0], np.where(sample[1] > 0, 1, -1)
    given = {"steps": 2, "seeds": 2}
    tables = [
        coord_check(ntk, WIDTHS[:3], x, y, rng=np.random.default_rng(0), **given).table
        for y in (signs, signs.astype(float), signs[:, None])
    ]
    assert tables[0].identical(tables[1])
    np.testing.assert_allclose(tables[2].loss_end, tables[0].loss_end, rtol=1e-5)


def test_a_classifier(rng):
    x = rng.standard_normal((N, D))
    y = np.digitize(x[:, 0], [-0.5, 0.5])

    def make(m):
        return MLPClassifier((m,), learning_rate_init=0.02)

    check = coord_check(make, [8, 16, 32], x, y, steps=20, rng=rng, seeds=2)
    assert (check.table.loss_end < check.table.loss_start).all()
    assert check.table.loss_start.values == pytest.approx(np.log(3), rel=0.5)
    with pytest.raises(TypeError, match=r"train is for modules; make\(8\) gave a MLPClassifier"):
        coord_check(make, [8, 16, 32], x, y, train=print, rng=rng)


class Flat(Net):
    def forward(self, x):
        return super().forward(x)[:, 0]


def flat(m):
    return Flat(m, 1.0), 0.1


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"readout": "last"}, ValueError, "readout='last' is unknown; allowed: 'first', 'readout'"),
        ({"widths": [4, 8]}, ValueError, r"widths=\[4, 8\] must be three or more, ascending"),
        ({"widths": [4, 16, 8]}, ValueError, "must be three or more, ascending"),
        ({"widths": [4, 8.5, 16]}, TypeError, "widths=8.5 must be a positive integer"),
        ({"steps": 0}, ValueError, "steps=0 must be a positive integer"),
        ({"seeds": 1}, ValueError, "seeds=1 must be an integer >= 2"),
        ({"rng": 0}, TypeError, "rng=0 must be a numpy.random.Generator"),
        ({"y": [1.0]}, ValueError, "x has 5 rows and y has 1"),
        ({"make": lambda m: Ridge()}, TypeError, r"make\(4\) gave a Ridge; it must give a torch"),
        (
            {"make": lambda m: Net(m, 1)},
            TypeError,
            r"make\(4\) gave a Net alone; a module comes wi",
        ),
        (
            {"make": lambda m: (Net(m, 1), "0.1")},
            TypeError,
            "the step size beside the module='0.1' ",
        ),
        (
            {"make": lambda m: (Net(m, 1), torch.optim.SGD(Net(m, 1).parameters()))},
            ValueError,
            r"the optimiser that make\(4\) gave holds no parameter of its module",
        ),
        (
            {"make": lambda m: (Net(m, 1), torch.optim.SGD(Net(m, 1).parameters(), 0.0))},
            ValueError,
            "holds no parameter",
        ),
        ({"y": np.ones((5, 2))}, ValueError, r"y has shape \(5, 2\); it must be that of the outp"),
        ({"make": flat, "y": np.ones((5, 1))}, ValueError, r"y has shape \(5, 1\); it must be tha"),
        (
            {"make": flat, "y": np.ones((5, 1)), "loss": nn.functional.l1_loss},
            ValueError,
            r"y has shape \(5, 1\); it must be that of the outputs, \(5,\)",
        ),
        ({"x": np.ones((0, D)), "y": []}, ValueError, "x has 0 rows and y has 0"),
        ({"x": np.ones(5)}, ValueError, r"x has shape \(5,\); it must be \(k, ...\)"),
        ({"steps": None}, TypeError, "steps=None and train=None: give one of them"),
        ({"train": print}, TypeError, "steps=1 and train=.*: give one of them"),
        (
            {"make": lambda m: MLPRegressor(early_stopping=True)},
            ValueError,
            "early_stopping=True must be False",
        ),
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
    for rates in ({}, {"first.bias": 0.0}):
        with pytest.raises(ValueError, match="rates={.*} count no parameter that requires a grad"):
            movement(Net(3, 1), Net(3, 1), x, rates=rates)
    with pytest.raises(ValueError, match=r"weights of shape \(4, 4\) in 'first'; start \(3, 4\)"):
        movement(Net(3, 1), Net(4, 1), x)
    with pytest.raises(ValueError, match=r"x has shape \(0, 4\); it must be \(k, ...\), with k >="):
        movement(Net(3, 1), Net(3, 1), x[:0])
    with pytest.raises(TypeError, match="LSTM gave a tuple; it must give a tensor"):
        movement(nn.LSTM(D, 3), nn.LSTM(D, 3), x)
    with pytest.raises(ValueError, match=r"rates\['first.bias'\]=-1.0 must be finite and >= 0"):
        movement(Net(3, 1), Net(3, 1), x, rates={"first.bias": -1.0})
