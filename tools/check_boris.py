"""Open a project with BORIS's own loader and run its own checks of integrity.

pip install boris-behav-obs           PyQt5 and some 200 MB: into an environment of its own
python tools/check_boris.py CLIP.boris

Prints the faults that BORIS reports; ends with 1 where it finds a fault. No window is opened, and BORIS's player, which needs libmpv and
Debian's libraries, is replaced.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from unittest.mock import MagicMock


def main(path: str) -> int:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    spec = importlib.util.find_spec("boris")
    if spec is None:
        sys.exit("pip install boris-behav-obs")
    # its __init__ starts the whole application
    package = types.ModuleType("boris")
    package.__path__ = list(spec.submodule_search_locations or [])
    sys.modules["boris"] = package
    for player in ("boris.mpv2", "boris.mpv", "PyQt5.QtMultimedia"):
        sys.modules[player] = MagicMock()
    functions = importlib.import_module("boris.project_functions")
    _, changed, project, message = functions.open_project_json(path)
    faults = [project.get("error", ""), message, "changed by the loader" if changed else ""]
    if not project.get("error"):
        faults.append(functions.check_project_integrity(project, "hh:mm:ss", path))
        for name, observation in project["observations"].items():
            fine, text = functions.check_state_events_obs(name, project["behaviors_conf"], observation)
            there, missing = functions.check_if_media_available(observation, path)
            faults += ["" if fine else text, "" if there else missing]
            print(f"{name}: {len(observation['events'])} events of {len(project['subjects_conf'])} subjects")
    faults = [fault for fault in faults if fault]
    print(
        "\n".join(faults) or f"BORIS {importlib.import_module('boris.version').__version__} opens it and finds no fault"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
