"""`train`: from a data set and a name to a run folder with everything that came of it."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinygrad_cnn import datasets, models
from tinygrad_cnn.cli import artifacts, tasks
from tinygrad_cnn.cli.arguments import (
    fraction,
    image_size,
    natural,
    not_negative,
    positive,
    positive_int,
    refuse,
)
from tinygrad_cnn.cli.console import console, human
from tinygrad_cnn.cli.data import build_model, is_path, load_parts, settle
from tinygrad_cnn.cli.recipes import OWN_PICTURES, RECIPES, SCHEDULES
from tinygrad_cnn.cli.runs import (
    Config,
    choose_folder,
    fingerprint,
    locked,
    newest_run,
    take_place,
)
from tinygrad_cnn.io.atomic import make_folder, remove_partial_files
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.training.augment import RandomShift
from tinygrad_cnn.training.checkpoint import LAST, RunCheckpoint, load_run, load_weights
from tinygrad_cnn.training.loading import as_dataset
from tinygrad_cnn.training.optimizers import OPTIMIZERS, make_optimizer
from tinygrad_cnn.training.progress import EpochTable
from tinygrad_cnn.training.trainer import Trainer
from tinygrad_cnn.utils.data import DataLoader, random_split

#: Options that decide a run's numbers; `--resume` takes them from the run and refuses others.
_DECIDING = (
    "task", "model", "data", "data_dir", "epochs", "batch_size", "optimizer", "lr", "weight_decay", "schedule",
    "validation", "shift", "flip", "size", "channels", "seed",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # No defaults here: what was not given comes from the data set's recipe, or from the run that is continued.
    add = parser.add_argument
    add("--task", choices=tasks.TASKS, help=f"what to learn (default: classify); the others learn from {tasks.DATA}")
    add("--model", metavar="NAME", help=f"network, one of: {', '.join(models.names())}")
    add(
        "--data",
        metavar="NAME",
        help=f"data set, one of: {', '.join(datasets.NAMES)} (default: digits); or a folder of pictures with a "
        "sub-folder per class, or a table (.csv) with the columns filename and class",
    )
    add("--data-dir", metavar="DIR", help="folder of IDX files, for mnist and fashion-mnist")
    add("--size", type=image_size, metavar="HxW", help="of pictures: scale them to this (default: the network's)")
    add("--channels", type=int, choices=(1, 3), help="of pictures: grey or RGB (default: grey if all are)")
    add("--epochs", type=positive_int, metavar="N")
    add("--batch-size", type=positive_int, metavar="N")
    add("--lr", type=positive, metavar="X", help="learning rate (the highest, for a schedule)")
    add(
        "--weight-decay",
        type=not_negative,
        metavar="X",
        help="(default: the data set's or the optimiser's own)",
    )
    add("--optimizer", metavar="NAME", help=f"one of: {', '.join([*OPTIMIZERS, 'momentum'])}")
    add("--schedule", metavar="NAME", help=f"of the learning rate, one of: {', '.join(SCHEDULES)}")
    add(
        "--validation",
        type=fraction,
        metavar="SHARE",
        help="share of the training data held out to pick the best",
    )
    add("--shift", type=natural, metavar="N", help="move each training image by up to N pixels (digits: 1)")
    add("--flip", action="store_true", default=None, help="mirror each training image every second time")
    add("--seed", type=natural, metavar="N", help="decides weights and order (default: 0)")
    add("--threads", type=positive_int, metavar="N", help="threads of the kernels (default: all cores)")
    add("--out", metavar="DIR", help="run folder (default: a new one in runs/)")
    add("--resume", action="store_true", help="continue the run in --out, or the newest in runs/")
    add("--overwrite", action="store_true", help="replace the run in --out, once the new one has finished")
    add(
        "--checkpoint-every",
        type=positive_int,
        metavar="N",
        help="save after every N batches, not every 30 s",
    )


def run(args: argparse.Namespace) -> int:
    if args.resume and args.overwrite:
        raise UsageError("--resume continues a run and --overwrite starts anew: give one of them")
    if args.out is None:
        refuse({"--overwrite": args.overwrite}, "replaces the run in --out, and without --out a run gets a new folder")
    folder, config = _continued(args) if args.resume else _new(args)
    out = console()
    with _threads(args.threads or config.threads):
        return _train(folder, config, args, out)


def _train(folder: Path, config: Config, args: argparse.Namespace, out: Any) -> int:
    from tinygrad_cnn import manual_seed

    parts = load_parts(config)
    train, test = parts.train, parts.test
    config = _with_fingerprint(folder, config, train, test)
    manual_seed(config.seed)
    model = build_model(config)
    _check_fit(model, train, config)
    loader, validation = _loaders(train, config)
    decay = {} if config.weight_decay is None else {"weight_decay": config.weight_decay}
    optimizer = make_optimizer(config.optimizer, model.parameters(), config.lr, **decay)
    schedule = SCHEDULES[config.schedule](optimizer, config.lr, config.epochs * len(loader))
    table = EpochTable(out, "signals" if config.data == "mnist1d" else "images")
    checkpoint = RunCheckpoint(
        folder,
        None if validation is None else "val_accuracy" if config.task == "classify" else "val_loss",
        every_batches=args.checkpoint_every,
        every_seconds=None if args.checkpoint_every else 30.0,
    )
    augment = _augment(config)
    trainer = Trainer(
        model, optimizer, tasks.loss_of(config.task, model), augment=augment, scheduler=schedule,
        schedule_per="batch" if schedule else "epoch", callbacks=[checkpoint, table],
    )  # fmt: skip
    # Opened before anything is said, so that a folder that cannot be written to stops the run at once.
    make_folder(folder)
    former = Path(config.replaces) if config.replaces else None
    with locked(folder), locked(former) if former and former.is_dir() else nullcontext():
        remove_partial_files(folder)
        if args.resume and (folder / LAST).exists():
            trainer.load_state_dict(load_run(folder))
        elif not args.resume:
            artifacts.clear(folder)
        config.save(folder)
        _announce(out, folder, config, model, trainer)
        with _graceful(trainer), _closing(table):
            trainer.fit(loader, config.epochs, validation, verbose=0)
        if trainer.interrupted:
            return _say_how_to_go_on(out, folder, former, trainer)
        load_weights(model, folder)
        made = artifacts.finish(folder, config, model, trainer.history, train, test, out)
        if former is not None:
            replace(config, replaces=None).save(folder)
    if former is not None:  # unlocked: Windows renames no folder in which a file is open
        take_place(folder, former)
        folder = former
    out.print(f"\nin {folder}: {', '.join(made)}", soft_wrap=True)
    return 0


def _say_how_to_go_on(out: Any, folder: Path, former: Path | None, trainer: Trainer) -> int:
    place = f"epoch {trainer.epoch + 1}, batch {trainer.batch} of {trainer.batches}"
    out.print(f"\ninterrupted after {place}; saved to {folder / LAST}. To go on:", soft_wrap=True)
    out.print(f"  tinygrad-cnn train --resume --out {shlex.quote(str(folder))}", soft_wrap=True)
    if former is not None:
        out.print(f"The run in {former} is as it was until then.", soft_wrap=True)
    return 130


def _new(args: argparse.Namespace) -> tuple[Path, Config]:
    from tinygrad_cnn.support.version import __version__

    task = args.task or "classify"
    data = args.data or (tasks.DATA if task != "classify" else _data_for(args.model) or "digits")
    own = data != tasks.DATA and is_path(data)
    place: str | None
    if own:
        refuse({"--data-dir": args.data_dir}, "is where a known data set's files are, and --data names pictures")
        data, place = _place(data)
    else:
        refuse({"--size": args.size, "--channels": args.channels}, "is for pictures in a folder (--data FOLDER)")
        place = str(Path(args.data_dir).resolve()) if args.data_dir else None
        if data not in (*RECIPES, tasks.DATA):
            raise UsageError(f"unknown data set {data!r}; known: {', '.join(RECIPES)}, or a folder of pictures")
    if task != "classify":
        refuse({"--flip": args.flip, "--shift": args.shift}, f"moves images, and not what --task {task} should answer")
        refuse({"--data-dir": args.data_dir}, f"is for files, and the data of --task {task} are in the package")
        recipe = tasks.RECIPES[task]
    else:
        recipe = OWN_PICTURES if own else RECIPES.get(data) or RECIPES["digits"]
    name = args.model or recipe.model
    models.entry(name)  # an unknown name is complained about before any data are read
    # Rate and decay belong to the optimiser: another one than the recipe's gets its own.
    usual = recipe if args.optimizer in (None, recipe.optimizer) else None
    config = Config(
        task=task,
        model=name,
        data=data,
        data_dir=place,
        epochs=args.epochs or recipe.epochs,
        batch_size=args.batch_size or recipe.batch_size,
        optimizer=args.optimizer or recipe.optimizer,
        lr=args.lr or (usual.lr if usual else _usual_rate(args.optimizer)),
        weight_decay=usual.weight_decay if args.weight_decay is None and usual else args.weight_decay,
        schedule=args.schedule or recipe.schedule,
        shift=recipe.shift if args.shift is None else args.shift,
        flip=bool(args.flip),
        validation=recipe.validation if args.validation is None else args.validation,
        seed=args.seed or 0,
        threads=args.threads,
        version=__version__,
    )
    _check_names(config)
    if own:
        config = settle(config, args.size, args.channels)
    folder, former = choose_folder(args.out, name, data, args.overwrite)
    return folder, config if former is None else replace(config, replaces=str(former.resolve()))


def _continued(args: argparse.Namespace) -> tuple[Path, Config]:
    folder = Path(args.out) if args.out else newest_run()
    config = Config.load(folder)
    given = {name: getattr(args, name) for name in _DECIDING if getattr(args, name) is not None}
    if "data" in given and config.classes is not None and is_path(given["data"]):
        given["data"], given["data_dir"] = _place(given["data"])
    if "size" in given:
        given["size"] = list(given["size"])
    if "data_dir" in given:  # the same files may have moved
        config = replace(config, data_dir=str(Path(given.pop("data_dir")).resolve()))
    for name, value in given.items():
        before = getattr(config, name)
        if name == "epochs" and value >= before and config.schedule == "constant":
            config = replace(config, epochs=value)
        elif value != before:
            why = f" (its {config.schedule} schedule is made for them)" if name == "epochs" else ""
            raise UsageError(
                f"the run in {folder} has --{name.replace('_', '-')} {before}{why}, not {value}: leave the option out, "
                "or start a new run with another --out"
            )
    _check_names(config)
    return folder, config


def _with_fingerprint(folder: Path, config: Config, train: Any, test: Any) -> Config:
    """The configuration with what the data are; UsageError when a run that is continued had others."""
    samples, data_hash = fingerprint(train, test)
    if config.data_hash not in (None, data_hash):
        before, now = (" and ".join(f"{n:,}" for n in counts) for counts in (config.samples or [], samples))
        what = f"{before} training and test samples then, {now} now" if before != now else "the same numbers of samples"
        raise UsageError(
            f"the data set {config.data!r} has changed since the run in {folder} was started ({what}, other contents): "
            "bring the data back (--data-dir names their folder), or start a new run with another --out"
        )
    return replace(config, samples=samples, data_hash=data_hash)


def _check_names(config: Config) -> None:
    tasks.check(config.task, config.model, config.data)
    if config.classes is None and config.data == "mnist1d":
        if config.shift:
            raise UsageError(
                f"--shift {config.shift} moves images, and the signals of 'mnist1d' are none: leave it out"
            )
        refuse({"--flip": config.flip}, "mirrors images, and the signals of 'mnist1d' are none")
    if config.optimizer not in OPTIMIZERS and config.optimizer != "momentum":
        raise UsageError(
            f"unknown optimizer {config.optimizer!r}; known: {', '.join([*OPTIMIZERS, 'momentum'])}"
        )
    if config.schedule not in SCHEDULES:
        raise UsageError(f"unknown schedule {config.schedule!r}; known: {', '.join(SCHEDULES)}")


def _data_for(model: str | None) -> str | None:
    """The data set a network that cannot take digits is made for."""
    return "mnist1d" if model is not None and models.entry(model).input_size == (1, 40) else None


def _place(data: str) -> tuple[str, str]:
    """(name, absolute path) of a folder or a table of pictures."""
    path = Path(data).resolve()
    return path.stem if path.suffix.lower() == ".csv" else path.name, str(path)


def _augment(config: Config) -> Any:
    """What changes a training batch at random; None for nothing."""
    shift = RandomShift(config.shift) if config.shift else None
    flip = datasets.ImageDataGenerator(horizontal_flip=True) if config.flip else None
    return datasets.transforms.Compose([shift, flip]) if shift and flip else shift or flip


def _usual_rate(optimizer: str) -> float:
    return {"sgd": 0.1, "momentum": 0.05, "adagrad": 1e-2, "adadelta": 1.0}.get(optimizer, 1e-3)


def _check_fit(model: Any, data: Any, config: Config) -> None:
    """One sample through the network, so that a misfit is one clear error before the training starts."""
    from tinygrad_cnn.ops.creation import tensor
    from tinygrad_cnn.training.evaluation import evaluating

    shape = data[0][0].shape
    wanted = models.entry(config.model).input_size
    try:
        with evaluating(model):
            outputs = model(tensor(data[0][0][None]))
    except (ValueError, RuntimeError, TypeError, IndexError) as error:
        raise UsageError(
            f"the model {config.model!r} takes inputs of shape {wanted}, the data set {config.data!r} has {shape}: "
            f"{error}"
        ) from error
    if config.task == "classify" and outputs.shape[1:] != (len(data.classes),):
        raise UsageError(
            f"the model {config.model!r} answers with {tuple(outputs.shape[1:])} scores, the data set {config.data!r} "
            f"has {len(data.classes)} classes"
        )


def _loaders(train: Any, config: Config) -> tuple[DataLoader, Any]:
    """Batches to train on, and the held-out part (None if there is none). Both depend on the seed alone."""
    from tinygrad_cnn import Generator

    dataset = as_dataset(train)
    held_out = None
    if config.validation:
        split = Generator().manual_seed(config.seed + 1)
        count = max(1, round(len(dataset) * config.validation))
        if count >= len(dataset):
            raise UsageError(f"--validation {config.validation} leaves nothing to train on")
        dataset, held_out = random_split(dataset, [len(dataset) - count, count], split)
    order = Generator().manual_seed(config.seed)
    workers = 2 if config.classes is not None else 0  # pictures are read while the network trains
    return DataLoader(dataset, config.batch_size, shuffle=True, generator=order, num_workers=workers), held_out


def _announce(out: Any, folder: Path, config: Config, model: Any, trainer: Trainer) -> None:
    count = sum(p.numel() for p in model.parameters())
    out.print(
        f"{config.model} ({count:,} parameters, {human(4 * count, 'B')}) on {config.data}: {config.epochs} epochs, "
        f"batch {config.batch_size}, {config.optimizer} lr {config.lr:g} ({config.schedule}), seed {config.seed}",
        soft_wrap=True,
    )
    place = f" (takes the place of {config.replaces} when it has finished)" if config.replaces else ""
    out.print(f"run folder: {folder}{place}", soft_wrap=True)
    if trainer.step:
        out.print(f"continuing after epoch {trainer.epoch}, batch {trainer.batch}", soft_wrap=True)
    out.print()


@contextmanager
def _graceful(trainer: Trainer) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) ends the training after the batch under way; the second one at once."""

    def ask(number: int, _frame: Any) -> None:
        if trainer.interrupted:
            raise KeyboardInterrupt
        trainer.interrupted = True
        print("\nstopping after this batch (again to stop at once)", file=sys.stderr)

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, ask)
    except ValueError:  # not in the main thread, where signals cannot be caught
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _closing(table: EpochTable) -> Iterator[None]:
    try:
        yield
    finally:
        table.close()


def _threads(n: int | None) -> Any:
    """Limit the kernels to n threads; with one, BLAS too, so that nothing at all runs in parallel."""
    from tinygrad_cnn import kernels
    from tinygrad_cnn.kernels.threads import one_blas_thread

    if n is None:
        return nullcontext()
    kernels.set_num_threads(n)
    return one_blas_thread() if n == 1 else nullcontext()
