"""Forty healthy and forty sick trainings for `diagnose`, small and quick.

Each entry builds (model, batches, loss_fn, options); the sick ones name the rule that must be among the findings.
"""

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim
from tinygrad_cnn.nn import functional as F

HEALTHY, SICK = {}, {}


def healthy(build):
    HEALTHY[build.__name__] = build
    return build


def sick(rule):
    def add(build):
        SICK[build.__name__] = (rule, build)
        return build

    return add


# --- data ----------------------------------------------------------------------------------------


def split(x, y, size=32):
    return [(tg.tensor(x[k : k + size]), tg.tensor(y[k : k + size])) for k in range(0, len(x), size)]


def points(n=96, features=8, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, features)).astype(np.float32)
    scores = x @ rng.standard_normal((features, classes))
    return x, scores.argmax(1).astype(np.int64)


def classes(n=96, features=8, k=2, size=32):
    return split(*points(n, features, k), size)


def regression(n=96, features=8, shape=(1,), noise=0.1, size=32, scale=1.0, shift=0.0):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, features)).astype(np.float32)
    y = np.tanh(x @ rng.standard_normal((features, 1))) + noise * rng.standard_normal((n, 1))
    return split(x, (scale * y + shift).astype(np.float32).reshape(n, *shape), size)


def pictures(n=96, k=4, side=8, size=32, scale=1.0):
    """A bright square in one of four corners, with noise, between 0 and 1."""
    rng = np.random.default_rng(2)
    y = rng.integers(0, k, n)
    x = rng.random((n, 1, side, side)) * 0.3
    for i, label in enumerate(y):
        r, c = (side // 2) * (label // 2), (side // 2) * (label % 2)
        x[i, 0, r : r + side // 2, c : c + side // 2] += 0.6
    return split((x * scale).astype(np.float32), y.astype(np.int64), size)


def words(n=96, length=6, vocabulary=20):
    rng = np.random.default_rng(3)
    x = rng.integers(0, vocabulary, (n, length))
    return split(x, (x[:, 0] < vocabulary // 2).astype(np.int64))


def mlp(*sizes, activation=nn.ReLU, norm=None, seed=0):
    tg.manual_seed(seed)
    layers = []
    for a, b in zip(sizes[:-2], sizes[1:-1], strict=True):
        layers += [nn.Linear(a, b), *([norm(b)] if norm else []), activation()]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def cnn(norm=True, bias=True, channels=6, k=4):
    tg.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1, bias=bias), *([nn.BatchNorm2d(channels)] if norm else []), nn.ReLU(),
        nn.MaxPool2d(2), nn.Conv2d(channels, channels, 3, padding=1, bias=bias),
        *([nn.BatchNorm2d(channels)] if norm else []), nn.ReLU(), nn.Flatten(), nn.Linear(channels * 16, k),
    )  # fmt: skip


def sgd(model, lr=0.1, **options):
    return {"optimizer": optim.SGD(model.parameters(), lr=lr, **options)}


def adam(model, lr=1e-3):
    return {"optimizer": optim.Adam(model.parameters(), lr=lr)}


def trained(model, batches, loss_fn, steps=150, lr=0.01):
    optimizer = optim.Adam(model.parameters(), lr=lr)
    for k in range(steps):
        x, y = batches[k % len(batches)]
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()
    return model


CE = F.cross_entropy

# --- healthy -------------------------------------------------------------------------------------


@healthy
def a_small_mlp():
    return mlp(8, 16, 2), classes(), CE, {}


@healthy
def an_mlp_with_sgd():
    m = mlp(8, 32, 32, 2)
    return m, classes(), CE, sgd(m)


@healthy
def an_mlp_with_momentum():
    m = mlp(8, 32, 32, 2)
    return m, classes(), CE, sgd(m, 0.05, momentum=0.9, weight_decay=1e-4)


@healthy
def an_mlp_with_adam():
    m = mlp(8, 32, 2)
    return m, classes(), CE, adam(m)


@healthy
def plain_sgd_that_is_slow_but_works():
    m = mlp(8, 32, 32, 2)
    return m, classes(), CE, sgd(m, 0.01)


@healthy
def fine_tuning_with_a_small_adam():
    m = mlp(8, 32, 2)
    return m, classes(), CE, adam(m, 1e-4)


@healthy
def a_cnn():
    m = cnn(norm=False)
    return m, pictures(), CE, adam(m)


@healthy
def conv_with_bias_before_batchnorm():
    m = cnn()
    return m, pictures(), CE, sgd(m)


@healthy
def conv_without_bias_before_batchnorm():
    m = cnn(bias=False)
    return m, pictures(), CE, adam(m)


@healthy
def linear_with_batchnorm():
    m = mlp(8, 16, 16, 2, norm=nn.BatchNorm1d)
    return m, classes(), CE, sgd(m)


@healthy
def layernorm():
    m = mlp(8, 16, 16, 2, norm=nn.LayerNorm)
    return m, classes(), CE, adam(m)


@healthy
def instancenorm_after_conv():
    tg.manual_seed(0)
    m = nn.Sequential(nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4))
    return m, pictures(), CE, adam(m)


@healthy
def groupnorm_after_conv():
    tg.manual_seed(0)
    m = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(4, 4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4))
    return m, pictures(), CE, sgd(m, 0.05)


@healthy
def raw_features_into_batchnorm():
    tg.manual_seed(0)
    x, y = points()
    m = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    return m, split(x * 100 + 50, y), CE, adam(m)


@healthy
def dropout():
    tg.manual_seed(0)
    m = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 2))
    return m, classes(), CE, adam(m)


@healthy
def tanh():
    m = mlp(8, 16, 2, activation=nn.Tanh)
    return m, classes(), CE, sgd(m)


@healthy
def shallow_sigmoid():
    m = mlp(8, 16, 2, activation=nn.Sigmoid)
    return m, classes(), CE, sgd(m, 1.0)


@healthy
def gelu_and_silu():
    tg.manual_seed(0)
    m = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 16), nn.SiLU(), nn.Linear(16, 2))
    return m, classes(), CE, adam(m)


@healthy
def logistic_regression_from_zero():
    m = nn.Linear(8, 2)
    with tg.no_grad():
        m.weight.zero_(), m.bias.zero_()
    return m, classes(), CE, sgd(m)


@healthy
def last_layer_from_zero():
    m = mlp(8, 16, 2)
    with tg.no_grad():
        m[-1].weight.zero_(), m[-1].bias.zero_()
    return m, classes(), CE, sgd(m, 0.1, momentum=0.9)


@healthy
def residual_branch_from_zero():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.a, self.b, self.head = (
                nn.Linear(*s) for s in [(8, 16), (16, 16), (16, 16), (16, 2)]
            )

        def forward(self, x):
            h = F.relu(self.stem(x))
            return self.head(h + self.b(F.relu(self.a(h))))

    tg.manual_seed(0)
    m = Net()
    with tg.no_grad():
        m.b.weight.zero_(), m.b.bias.zero_()
    return m, classes(), CE, adam(m, 1e-2)


@healthy
def residual_batchnorm_from_zero():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.conv, self.bn = (
                nn.Conv2d(1, 4, 3),
                nn.Conv2d(4, 4, 3, padding=1),
                nn.BatchNorm2d(4),
            )
            self.head = nn.Linear(4 * 36, 4)

        def forward(self, x):
            h = F.relu(self.stem(x))
            return self.head(F.relu(h + self.bn(self.conv(h))).flatten(1))

    tg.manual_seed(0)
    m = Net()
    with tg.no_grad():
        m.bn.weight.zero_()
    return m, pictures(), CE, sgd(m)


@healthy
def regression_with_mse():
    m = mlp(8, 32, 1)
    return m, regression(), F.mse_loss, adam(m, 1e-2)


@healthy
def regression_with_flat_targets_squeezed_in_the_loss():
    m = mlp(8, 32, 1)
    return m, regression(shape=()), lambda y, t: F.mse_loss(y.squeeze(1), t), sgd(m)


@healthy
def regression_with_smooth_l1():
    m = mlp(8, 32, 1)
    return m, regression(), F.smooth_l1_loss, sgd(m)


@healthy
def a_linear_regression_that_is_done():
    data = regression(noise=0.5)
    m = trained(nn.Linear(8, 1), data, F.mse_loss)
    return m, data, F.mse_loss, sgd(m, 0.01)


@healthy
def a_classifier_that_is_done():
    data = classes()
    m = trained(mlp(8, 32, 2), data, CE)
    return m, data, CE, sgd(m, 0.01)


@healthy
def a_sigmoid_output_that_is_done():
    data = [(x, y.float().reshape(-1, 1)) for x, y in classes()]
    tg.manual_seed(0)
    m = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1), nn.Sigmoid())
    m = trained(m, data, F.binary_cross_entropy, 300)
    return m, data, F.binary_cross_entropy, adam(m)


@healthy
def binary_with_logits():
    data = [(x, y.float().reshape(-1, 1)) for x, y in classes()]
    m = mlp(8, 16, 1)
    return m, data, F.binary_cross_entropy_with_logits, sgd(m)


@healthy
def log_softmax_and_nll():
    tg.manual_seed(0)
    m = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2), nn.LogSoftmax(dim=1))
    return m, classes(), F.nll_loss, sgd(m)


@healthy
def frozen_backbone():
    m = mlp(8, 16, 16, 2)
    for p in m[0].parameters():
        p.requires_grad_(False)
    return m, classes(), CE, {"optimizer": optim.SGD([p for p in m.parameters() if p.requires_grad], lr=0.1)}


@healthy
def frozen_batchnorm_on_purpose():
    m = mlp(8, 16, 2, norm=nn.BatchNorm1d)
    m[1].eval()
    for p in m[1].parameters():
        p.requires_grad_(False)
    return m, classes(), CE, sgd(m)


@healthy
def embedding():
    tg.manual_seed(0)
    m = nn.Sequential(nn.Embedding(20, 8), nn.Flatten(), nn.Linear(48, 2))
    return m, words(), CE, adam(m, 1e-2)


@healthy
def a_recurrent_network():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.LSTM(4, 12, batch_first=True), nn.Linear(12, 2)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    tg.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 5, 4)).astype(np.float32)
    m = Net()
    return m, split(x, (x[:, -1, 0] > 0).astype(np.int64)), CE, adam(m, 1e-2)


@healthy
def an_autoencoder():
    x, _ = points()
    m = mlp(8, 4, 8)
    return m, split(x, x), F.mse_loss, adam(m, 1e-2)


@healthy
def attention_with_a_bias_on_the_keys():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v = nn.Linear(4, 8), nn.Linear(4, 8), nn.Linear(4, 8)
            self.head = nn.Linear(8, 2)

        def forward(self, x):
            scores = self.q(x) @ self.k(x).transpose(1, 2) / 8**0.5
            return self.head((F.softmax(scores, dim=-1) @ self.v(x)).mean(1))

    tg.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 5, 4)).astype(np.float32)
    m = Net()
    return m, split(x, (x[:, :, 0].mean(1) > 0).astype(np.int64)), CE, adam(m, 1e-2)


@healthy
def a_loss_that_is_summed():
    m = mlp(8, 16, 2)
    return m, classes(), lambda y, t: CE(y, t, reduction="sum"), adam(m)


@healthy
def a_loss_times_a_small_number():
    m = mlp(8, 16, 2)
    return m, classes(), lambda y, t: 1e-6 * CE(y, t), adam(m)


@healthy
def depthwise_convolution():
    tg.manual_seed(0)
    m = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4)
    )
    return m, pictures(), CE, adam(m, 1e-2)


@healthy
def many_samples_with_a_visible_relation():
    m = mlp(4, 32, 3)
    return m, classes(n=320, features=4, k=3), CE, sgd(m)


# --- sick ----------------------------------------------------------------------------------------


@sick("dead_relu")
def biases_far_below_zero():
    m = mlp(8, 16, 2)
    with tg.no_grad():
        m[0].bias.fill_(-100.0)
    return m, classes(), CE, {}


@sick("dead_relu")
def a_second_layer_that_is_off():
    m = mlp(8, 16, 16, 2)
    with tg.no_grad():
        m[2].bias.fill_(-20.0)
    return m, classes(), CE, sgd(m)


@sick("dead_relu")
def a_cnn_with_dead_maps():
    m = cnn(norm=False)
    with tg.no_grad():
        m[0].bias.fill_(-50.0)
    return m, pictures(), CE, adam(m)


@sick("saturated_activation")
def tanh_driven_to_its_ends():
    m = mlp(8, 16, 2, activation=nn.Tanh)
    with tg.no_grad():
        m[0].weight.mul_(200.0)
    return m, classes(), CE, {}


@sick("saturated_activation")
def sigmoid_driven_to_its_ends():
    m = mlp(8, 16, 2, activation=nn.Sigmoid)
    with tg.no_grad():
        m[0].weight.mul_(300.0)
    return m, classes(), CE, sgd(m)


@sick("vanishing_gradient")
def nine_layers_of_sigmoid():
    return mlp(8, *[16] * 9, 2, activation=nn.Sigmoid), classes(), CE, {}


@sick("vanishing_gradient")
def twelve_layers_of_tanh_started_too_small():
    m = mlp(8, *[16] * 12, 2, activation=nn.Tanh)
    with tg.no_grad():
        for layer in m[2:-1:2]:
            layer.weight.mul_(0.4)
    return m, classes(), CE, {}


@sick("exploding_tensor")
def weights_ten_times_too_large():
    m = mlp(8, *[32] * 8, 2)
    with tg.no_grad():
        for layer in m[::2]:
            layer.weight.mul_(10.0)
    return m, classes(), CE, sgd(m)


@sick("exploding_tensor")
def an_exponential_without_bound():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(8, 2)

        def forward(self, x):
            return self.fc(tg.exp(self.fc(x) * 1000)[:, :1] * x)

    return Net(), classes(), CE, {}


@sick("exploding_tensor")
def a_logarithm_of_zero():
    m = mlp(8, 16, 2)
    return m, classes(), lambda y, t: CE(tg.log(F.relu(y)), t), {}


@sick("unused_parameter")
def a_branch_that_is_detached():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2)

        def forward(self, x):
            return self.c(F.relu(self.a(x)) + self.b(x).detach())

    return Net(), classes(), CE, {}


@sick("unused_parameter")
def a_layer_that_is_not_called():
    m = mlp(8, 16, 2)
    m.extra = nn.Linear(3, 3)
    m.forward = lambda x: m[2](m[1](m[0](x)))
    return m, classes(), CE, {}


@sick("no_graph")
def a_loss_of_detached_scores():
    m = mlp(8, 16, 2)
    return m, classes(), lambda y, t: CE(y.detach(), t), sgd(m)


@sick("all_zero")
def a_loss_times_zero():
    m = mlp(8, 16, 2)
    return m, classes(), lambda y, t: CE(y.detach() + 0 * y, t), {}


@sick("loss_not_decreasing")
def a_loss_that_does_not_know_the_targets():
    m = mlp(8, 16, 2)
    return m, classes(), lambda y, t: ((y - y.mean(0)) * 0 + 1).mean() + 0 * y.sum(), sgd(m)


@sick("softmax_twice")
def softmax_before_cross_entropy():
    return nn.Sequential(mlp(8, 16, 2), nn.Softmax(dim=1)), classes(), CE, {}


@sick("softmax_twice")
def sigmoid_before_cross_entropy():
    return nn.Sequential(mlp(8, 16, 2), nn.Sigmoid()), classes(), CE, {}


@sick("softmax_twice")
def sigmoid_before_bce_with_logits():
    data = [(x, y.float().reshape(-1, 1)) for x, y in classes()]
    return nn.Sequential(mlp(8, 16, 1), nn.Sigmoid()), data, F.binary_cross_entropy_with_logits, {}


@sick("relu_on_logits")
def relu_before_cross_entropy():
    m = nn.Sequential(mlp(8, 16, 2), nn.ReLU())
    return m, classes(), CE, sgd(m)


@sick("relu_on_logits")
def relu_before_log_softmax():
    m = nn.Sequential(mlp(8, 16, 2), nn.ReLU(), nn.LogSoftmax(dim=1))
    return m, classes(), F.nll_loss, adam(m)


@sick("wrong_scores")
def nll_of_raw_scores():
    m = mlp(8, 16, 2)
    return m, classes(), F.nll_loss, sgd(m)


@sick("wrong_scores")
def nll_of_probabilities():
    m = nn.Sequential(mlp(8, 16, 2), nn.Softmax(dim=1))
    return m, classes(), F.nll_loss, sgd(m)


@sick("softmax_over_batch")
def softmax_over_the_samples():
    m = nn.Sequential(mlp(8, 16, 2), nn.LogSoftmax(dim=0))
    return m, classes(), F.nll_loss, adam(m)


@sick("target_broadcast")
def mse_of_columns_against_flat_targets():
    m = mlp(8, 16, 1)
    return m, regression(shape=()), F.mse_loss, adam(m)


@sick("target_broadcast")
def difference_of_flat_outputs_and_columns():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp(8, 16, 1)

        def forward(self, x):
            return self.net(x).squeeze(1)

    return Net(), regression(), lambda y, t: ((y - t) ** 2).mean(), {}


@sick("unreachable_targets")
def a_sigmoid_for_targets_from_minus_one():
    m = nn.Sequential(mlp(8, 16, 1), nn.Sigmoid())
    return m, regression(), F.mse_loss, adam(m)


@sick("constant_targets")
def one_class_only():
    return mlp(8, 16, 2), [(x, y * 0) for x, y in classes()], CE, {}


@sick("constant_targets")
def one_number_only():
    m = mlp(8, 16, 1)
    return m, [(x, y * 0 + 3) for x, y in regression()], F.mse_loss, adam(m)


@sick("unrelated_targets")
def shuffled_classes_of_pictures():
    rng = np.random.default_rng(0)
    data = pictures(n=256)
    y = rng.permutation(np.concatenate([t.numpy() for _, t in data]))
    m = cnn(norm=False)
    return m, split(np.concatenate([x.numpy() for x, _ in data]), y), CE, adam(m)


@sick("unrelated_targets")
def shuffled_numbers():
    rng = np.random.default_rng(0)
    data = regression(n=320, features=3)
    y = rng.permutation(np.concatenate([t.numpy() for _, t in data]))
    m = mlp(3, 64, 1)
    return m, split(np.concatenate([x.numpy() for x, _ in data]), y), F.mse_loss, adam(m, 1e-2)


@sick("not_shuffled")
def sorted_classes():
    x, y = points(256, 8, 4)
    order = np.argsort(y, kind="stable")
    m = mlp(8, 16, 4)
    return m, split(x[order], y[order]), CE, sgd(m)


@sick("input_not_normalised")
def pictures_from_0_to_255():
    m = cnn(norm=False)
    return m, pictures(scale=255.0), CE, adam(m)


@sick("input_not_normalised")
def pictures_divided_twice():
    m = cnn(norm=False)
    return m, pictures(scale=1 / 255 / 2), CE, adam(m)


@sick("not_finite_data")
def a_nan_among_the_inputs():
    x, y = points()
    x[5, 3] = np.nan
    return mlp(8, 16, 2), split(x, y), CE, {}


@sick("targets_not_normalised")
def prices_of_houses():
    m = mlp(8, 16, 1)
    return m, regression(scale=1e5, shift=3e5), F.mse_loss, adam(m)


@sick("identical_units")
def all_weights_the_same():
    m = mlp(8, 16, 16, 2)
    with tg.no_grad():
        for p in m.parameters():
            p.fill_(0.1)
    return m, classes(), CE, sgd(m)


@sick("zero_weights")
def all_weights_zero():
    m = mlp(8, 16, 2)
    with tg.no_grad():
        for p in m.parameters():
            p.zero_()
    return m, classes(), CE, sgd(m)


@sick("evaluation_mode")
def batchnorm_left_in_eval():
    m = mlp(8, 16, 2, norm=nn.BatchNorm1d)
    m.eval()
    return m, classes(), CE, sgd(m)


@sick("evaluation_mode")
def dropout_left_in_eval():
    tg.manual_seed(0)
    m = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 2))
    m[2].eval()
    return m, classes(), CE, adam(m)


@sick("learning_rate_too_large")
def sgd_ten_thousand_times_too_fast():
    m = mlp(8, 16, 2)
    return m, classes(), CE, sgd(m, 1e3)


@sick("learning_rate_too_large")
def adam_too_fast():
    m = mlp(8, 32, 32, 2)
    return m, classes(), CE, adam(m, 3.0)


@sick("learning_rate_too_small")
def sgd_too_slow():
    m = mlp(8, 16, 2)
    return m, classes(), CE, sgd(m, 1e-6)


@sick("learning_rate_too_small")
def adam_too_slow():
    m = mlp(8, 16, 2)
    return m, classes(), CE, adam(m, 1e-8)


@sick("not_in_optimizer")
def a_layer_replaced_after_the_optimiser_was_made():
    m = mlp(8, 16, 2)
    options = sgd(m)
    m[-1] = nn.Linear(16, 2)
    return m, classes(), CE, options


@sick("gradient_not_cleared")
def a_zero_grad_that_does_nothing():
    class Forgetful(optim.SGD):
        def zero_grad(self, set_to_none=True):
            pass

    m = mlp(8, 16, 2)
    return m, classes(), CE, {"optimizer": Forgetful(m.parameters(), lr=0.1)}


@sick("frozen")
def everything_frozen():
    m = mlp(8, 16, 2)
    options = sgd(m)
    for p in m.parameters():
        p.requires_grad_(False)
    return m, classes(), CE, options


@sick("contradictory_targets")
def the_same_inputs_with_other_targets():
    x, _ = points(n=48, features=8)
    y = np.random.default_rng(5).integers(0, 2, 96)
    m = mlp(8, 16, 2)
    return m, split(np.concatenate([x, x]), y), CE, sgd(m)
