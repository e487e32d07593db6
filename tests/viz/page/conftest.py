"""A headless Chromium for the page's tests, with no network and a fresh profile."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tinygrad_cnn.viz import page

ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install -e '.[dev]'")
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("needs Chromium and chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.set_script_timeout(600)  # against hangs only: axe takes its time where every core is taken
    try:
        yield browser
    finally:
        browser.quit()


class Window:
    """The page in the browser: what a reader could do, and what they would see."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page; `page` is its hub (see js/main.js)."""
        return self.browser.execute_script(script, *arguments)

    def find(self, selector: str) -> Any:
        return self.browser.find_element("css selector", selector)

    def count(self, selector: str) -> int:
        return self.run("return document.querySelectorAll(arguments[0]).length", selector)

    def text(self, selector: str) -> str:
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def texts(self, selector: str) -> list[str]:
        return self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector)

    def click(self, selector: str) -> None:
        self.find(selector).click()
        self.settle()

    def press(self, *keys: str) -> None:
        """Keys to whatever has the focus."""
        from selenium.webdriver import ActionChains

        for key in keys:
            ActionChains(self.browser, duration=0).send_keys(key).perform()
        self.settle()

    def settle(self) -> None:
        """Until the next picture is drawn."""
        self.browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    @property
    def focused(self) -> str:
        """The accessible name of what has the focus."""
        return self.run("return document.activeElement.getAttribute('aria-label') || document.activeElement.id")

    @property
    def boxes(self) -> list[str]:
        """The titles of the boxes drawn now (nodes and closed modules)."""
        return self.texts("#graph .box .title")


@pytest.fixture
def show(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Window]]:
    """Shows a description; at the end, nothing may have been complained about or fetched."""
    window = Window(chromium)

    def open_page(
        description: dict[str, Any], positions: Any = None, *, dark: bool = False, size: tuple[int, int] = (1400, 900)
    ) -> Window:
        file = tmp_path / "page.html"
        file.write_text(page.render(description, positions), encoding="utf-8")
        scheme = "dark" if dark else "light"
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"},
        ]})  # fmt: skip
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        chromium.get(file.as_uri())
        assert window.run("return document.documentElement.dataset.ready") == "true", chromium.get_log("browser")
        window.settle()
        return window

    chromium.get_log("browser")
    yield open_page
    assert chromium.get_log("browser") == []
    assert window.run("return performance.getEntriesByType('resource').map((e) => e.name)") == []
