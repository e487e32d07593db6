"""`tinygrad-cnn dap --install EDITOR`: puts the editor's part in its place.

The parts lie in `editors/`, with this Python's path to be filled in. Writes only files of its own name, and
says what is left to do.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

from tinygrad_cnn.debug.dap.access import token_directory
from tinygrad_cnn.support.errors import OutputError, UsageError

EDITORS = ("vscode", "neovim", "emacs")

_VSIX_MANIFEST = """\
<?xml version="1.0" encoding="utf-8"?>
<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011">
  <Metadata>
    <Identity Language="en-US" Id="{name}" Version="{version}" Publisher="{publisher}"/>
    <DisplayName>{displayName}</DisplayName>
    <Description>{description}</Description>
    <Categories>Debuggers</Categories>
    <Properties><Property Id="Microsoft.VisualStudio.Code.Engine" Value="{engine}"/></Properties>
  </Metadata>
  <Installation><InstallationTarget Id="Microsoft.VisualStudio.Code"/></Installation>
  <Dependencies/>
  <Assets>
    <Asset Type="Microsoft.VisualStudio.Code.Manifest" Path="extension/package.json" Addressable="true"/>
  </Assets>
</PackageManifest>
"""
_CONTENT_TYPES = """\
<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
  <Default Extension=".js" ContentType="application/javascript"/>
  <Default Extension=".json" ContentType="application/json"/>
  <Default Extension=".vsixmanifest" ContentType="text/xml"/>
</Types>
"""


def install(editor: str, to: str | None = None) -> list[str]:
    """Write the part of `editor` into its own directory, or `to`; gives lines on what was and is to be done.

    Raises UsageError for an editor there is no part for, OutputError where nothing can be written.
    """
    if editor not in EDITORS:
        raise UsageError(f"--install expects one of {', '.join(EDITORS)}, got {editor!r}")
    try:
        if editor == "vscode":
            return _vscode(to)
        if editor == "neovim":
            path = _write(Path(to) if to else _config("nvim") / "lua", "tinygrad_cnn_dap.lua", "neovim.lua")
            return [f"wrote {path}", 'add to your configuration: require("tinygrad_cnn_dap").setup()']
        path = _write(Path(to) if to else _emacs_directory(), "tinygrad-cnn-dap.el", "emacs.el")
        return [f"wrote {path}", f'add to your init file: (load "{path.with_suffix("").as_posix()}")']
    except OSError as error:
        raise OutputError(f"cannot install for {editor}: {error}") from None


def _vscode(to: str | None) -> list[str]:
    """An extension package, handed to VS Code where its command is on the PATH."""
    manifest = json.loads(_part("vscode.json"))
    name = f"{manifest['name']}-{manifest['version']}.vsix"
    command = None if to else next(filter(None, map(shutil.which, ("code", "code-insiders", "codium"))), None)
    folder = Path(to) if to else Path.cwd()
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / name
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _CONTENT_TYPES)
        engine = manifest["engines"]["vscode"]
        archive.writestr("extension.vsixmanifest", _VSIX_MANIFEST.format(**manifest, engine=engine))
        archive.writestr("extension/package.json", json.dumps(manifest, indent=2))
        archive.writestr("extension/extension.js", _part("vscode.js"))
    by_hand = f"in VS Code: Extensions, “…”, “Install from VSIX…”, {package}"
    if command is None:
        return [f"wrote {package}", by_hand]
    done = subprocess.run([command, "--install-extension", str(package), "--force"], check=False)
    if done.returncode != 0:
        return [f"wrote {package}", f"{command} did not take it ({done.returncode}); {by_hand}"]
    package.unlink()
    return [f"installed the extension with {command}; reload the window, then Run and Debug, “tinygrad_cnn”"]


def _write(folder: Path, name: str, part: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(_part(part), encoding="utf-8")
    return path


def _part(name: str) -> str:
    from tinygrad_cnn.support.version import __version__

    text = files("tinygrad_cnn.debug.dap").joinpath("editors", name).read_text(encoding="utf-8")
    # JSON, Lua and Emacs Lisp agree on backslashes in strings, which Windows' paths have.
    places = {"@PYTHON@": sys.executable, "@TOKENS@": token_directory().as_posix()}
    for mark, place in places.items():
        text = text.replace(mark, _json_text(place))
    return text.replace("@VERSION@", __version__)


def _json_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _config(program: str) -> Path:
    base = os.environ.get("XDG_CONFIG_HOME")
    if base:
        return Path(base) / program
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / program
    return Path.home() / ".config" / program


def _emacs_directory() -> Path:
    old = Path.home() / ".emacs.d"
    return old if old.is_dir() or not _config("emacs").is_dir() else _config("emacs")
