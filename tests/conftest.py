"""What holds for every test: one BLAS thread per pytest worker, no silent skips where all tools are promised.

`make test` runs a worker per core; BLAS threads on top would fight them. This is imported before any test
imports NumPy, which is when BLAS reads these variables. A variable set by whoever runs pytest stays.
"""

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import settings

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault(_variable, "1")

# A shell that starts a job in the background has it ignore Ctrl-C, and what the job starts inherits that;
# the tests that send Ctrl-C to programs need them to listen.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Set by .ci/run, which installs every tool first: a test that skips there is run by nobody.
REQUIRE_ALL = "TINYGRAD_CNN_REQUIRE_ALL"

# No test may depend on how fast the machine is, so examples have no deadline. Where everything must pass,
# the same examples are tried every time; elsewhere new ones.
_strict = os.environ.get(REQUIRE_ALL, "0") not in ("", "0")
settings.register_profile("house", deadline=None, derandomize=_strict)
settings.load_profile("house")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        _skip_is_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _skip_is_failure(report)
    return report


def _skip_is_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    if _strict and report.outcome == "skipped":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_ALL} is set, so nothing may skip, but this did: {reason}"
