"""Which engine a script runs on, and the texts of PyTorch's nodes; none of it needs PyTorch."""

import pytest

from tinygrad_cnn.bridge import is_torch, is_torch_module
from tinygrad_cnn.bridge.engines import engine_for, imports_torch
from tinygrad_cnn.bridge.torch_ops import operator_name, text_of
from tinygrad_cnn.support.errors import UsageError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import torch", True),
        ("import numpy as np, torch.nn as nn", True),
        ("def f():\n    from torch.nn import functional", True),
        ("from helper import net", True),
        ("import folder.deep", True),
        ("import torchlike\nfrom . import torch", False),
        ("import tinygrad_cnn as torch", False),
        ("import nowhere", False),
        ("this is no Python", False),
    ],
)
def test_a_script_imports_torch_itself_or_by_a_file_beside_it(tmp_path, text, found):
    (tmp_path / "helper.py").write_text("import other\n")
    (tmp_path / "other.py").write_text("import torch\nimport helper\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "deep.py").write_text("from torch import nn\n")
    script = tmp_path / "script.py"
    script.write_text(text)
    assert imports_torch(script) is found


def test_another_word_for_the_engine_is_refused():
    with pytest.raises(UsageError, match="auto, tinygrad_cnn, torch"), engine_for("jax", None):
        pass


def test_without_a_script_that_imports_torch_this_package_computes(tmp_path):
    script = tmp_path / "plain.py"
    script.write_text("import numpy\n")
    with engine_for("auto", script) as engine:
        assert engine == "tinygrad_cnn"


@pytest.mark.parametrize(
    ("node", "operator"),
    [
        ("ReluBackward0", "relu"),
        ("MaxPool2DWithIndicesBackward0", "max_pool2d_with_indices"),
        ("torch::autograd::AccumulateGrad", "accumulate_grad"),
        ("LogSoftmaxBackward0", "log_softmax"),
        ("TBackward0", "t"),
        ("AdaptiveAvgPool2DBackward0", "adaptive_avg_pool2d"),
        ("UpsampleBilinear2DBackward0", "upsample_bilinear2d"),
        ("NativeBatchNormBackward0", "native_batch_norm"),
        ("aten._log_softmax.default", "log_softmax"),
        ("aten.add_.Tensor", "add"),
    ],
)
def test_the_operator_of_a_node(node, operator):
    assert operator_name(node) == operator


def test_texts_are_those_of_the_op_table_where_it_has_the_op():
    text, has_factor = text_of("SigmoidBackward0", 1, 1)
    assert (text.name, text.formula) == ("sigmoid", "1 / (1 + exp(-x))")
    assert has_factor
    assert text.local == ("y (1 - y)",)
    assert not text_of("LogSoftmaxBackward0", 1, 1)[1]
    assert text_of("ConvolutionBackward0", 2, 3)[0].name == "conv2d"
    assert text_of("ConvolutionBackward0", 1, 3)[0].name == "conv1d"
    assert text_of("ViewBackward0", 1, 1)[0].name == "reshape"
    assert text_of("SomethingNewBackward0", 1, 2)[0].name == "something_new"


def test_what_is_not_pytorchs_is_not_taken_for_it():
    import tinygrad_cnn as tg

    assert not is_torch(tg.ones(2))
    assert not is_torch([])
    assert not is_torch("torch")
    assert not is_torch_module(tg.nn.Linear(2, 2))
