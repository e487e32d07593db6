"""Draw the graphs that the README shows: python tools/make_pictures.py (writes docs/pictures/).

The page's picture needs Chromium with its driver, and selenium (extra `dev`); without them the others are drawn.
"""

import shutil
import tempfile
from pathlib import Path

import tinygrad_cnn as tg
from tinygrad_cnn import models, nn, viz
from tinygrad_cnn.nn import functional as F

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures"


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.block = Block()
        self.fc = nn.Linear(8, 10)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return self.fc(self.block(F.relu(self.stem(x))).mean((2, 3)))


def neuron() -> viz.Graph:
    """One neuron with its local gradients as numbers."""
    x = tg.tensor(2.0, requires_grad=True)
    w = tg.tensor(-0.5, requires_grad=True)
    b = tg.tensor(1.5, requires_grad=True)
    h = w * x + b
    y = h.tanh()
    loss = (y - 1) ** 2
    return viz.graph(loss, direction="LR")


def residual() -> viz.Graph:
    """A residual block: the short cut carries the larger gradient."""
    tg.manual_seed(0)
    images, targets = tg.randn(4, 1, 28, 28), tg.tensor([0, 1, 2, 3])
    loss = F.cross_entropy(Net()(images), targets)
    graph = viz.graph(loss, names={"images": images})
    for module in graph.description.modules:
        module.open = module.path in ("", "block")
    return graph


def player() -> None:
    """The page of the MNIST CNN, its backward pass paused at the second convolution."""
    from selenium import webdriver

    tg.manual_seed(0)
    net, images = models.create("mnist-cnn"), tg.randn(4, 1, 28, 28)
    loss = F.cross_entropy(net(images), tg.tensor([3, 1, 4, 1]))
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for argument in ("--headless=new", "--no-sandbox", "--force-device-scale-factor=1"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = viz.graph(loss, title="mnist-cnn").save(Path(folder, "net.html"))
            metrics = {"width": 1400, "height": 860, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            reduced = [{"name": "prefers-reduced-motion", "value": "reduce"}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": reduced})
            browser.get(file.as_uri())
            browser.execute_script("""
                const { steps } = page.player;
                page.controls.go(1 + steps.findIndex((s) => s.node.record.module === 'features.3'
                  && s.node.record.op === 'correlate'));
                page.view.show(page.player.node, true)""")
            browser.execute_async_script("setTimeout(arguments[0], 500)")
            browser.save_screenshot(str(OUT / "player.png"))
    finally:
        browser.quit()


if __name__ == "__main__":
    for draw in (neuron, residual):
        draw().save(OUT / f"{draw.__name__}.svg")
    if shutil.which("chromedriver"):
        player()
