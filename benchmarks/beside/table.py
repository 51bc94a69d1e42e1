"""The packages that are run beside Mien: one row each."""

from __future__ import annotations

from dataclasses import dataclass

WHEEL = "WHEEL"
"""Stands for the wheel that was just built of this repository."""


@dataclass(frozen=True)
class Environment:
    """What is installed together.

    Attributes:
        name: of the folder.
        title: what the page calls it.
        kind: "python" or "node".
        packages: what is installed, as one would ask pip or npm for it.
        script: of `runners`.
        beside: what had to be installed as well, and why; empty where the package works as it is installed.
        named: the installed packages whose versions are reported.
        readme: how its documentation imports it, tried as it stands; empty for none.
        weights: what its classifiers alone need beside the package itself, where that is less than it asks for.
    """

    name: str
    title: str
    kind: str
    packages: tuple[str, ...]
    script: str
    beside: str = ""
    named: tuple[str, ...] = ()
    readme: str = ""
    weights: tuple[str, ...] = ()


@dataclass(frozen=True)
class Peer:
    """One way of using a package: what is timed.

    Attributes:
        name: key in the JSON.
        title: what the page calls it.
        environment: where it runs.
        variant: what the runner makes of it.
        weights: which of the package's classifiers it uses; peers with the same are scored once.
    """

    name: str
    title: str
    environment: str
    variant: str
    weights: str


WASM = ("@tensorflow/tfjs", "@tensorflow/tfjs-backend-wasm", "@canvas/image")
_NODE = (
    "`@tensorflow/tfjs`, its WebAssembly backend and `@canvas/image`, as its demo for Node without a native library "
    "does; the native library, with which it may be faster, is fetched from outside npm when it is installed"
)

ENVIRONMENTS = (
    Environment(
        "mien", "Mien", "python", (WHEEL,), "mien_run.py",
        named=("mien", "onnxruntime", "numpy", "pillow"), readme="import mien; mien.analyze",
    ),
    Environment(
        "fer", "fer", "python", ("fer", "setuptools<81"), "fer_run.py",
        "`setuptools<81`, whose `pkg_resources` it imports and newer ones lack",
        ("fer", "tensorflow", "torch", "facenet-pytorch", "opencv-contrib-python"), "from fer import FER",
        ("setuptools<81", "tensorflow-cpu", "opencv-contrib-python-headless", "requests", "pillow"),
    ),
    Environment(
        "face-api", "face-api", "node", ("@vladmandic/face-api", *WASM), "face_api.cjs", _NODE,
        ("@vladmandic/face-api", "@tensorflow/tfjs"),
    ),
    Environment(
        "human", "human", "node", ("@vladmandic/human", *WASM), "human.cjs", _NODE,
        ("@vladmandic/human", "@tensorflow/tfjs"),
    ),
    Environment(
        "deepface", "deepface", "python", ("deepface", "werkzeug"), "deepface_run.py",
        "`werkzeug`, which it imports without naming it among what it needs",
        ("deepface", "onnxruntime", "opencv-contrib-python-headless"), "from deepface import DeepFace",
    ),
    Environment(
        "py-feat", "py-feat", "python", ("py-feat",), "feat_run.py",
        named=("py-feat", "torch"),
    ),
    Environment(
        "rmn", "rmn", "python", ("rmn",), "rmn_run.py", named=("rmn", "torch"), readme="from rmn import RMN",
    ),
)  # fmt: skip

PEERS = (
    Peer("mien", "Mien: emotion and age", "mien", "full", "mien"),
    Peer("mien-emotion", "Mien: emotion alone", "mien", "emotion", "mien"),
    Peer("mien-int8", "Mien: emotion in 8 bits, age", "mien", "int8", "mien"),
    Peer("fer-haar", "fer, Haar (its default)", "fer", "haar", "fer"),
    Peer("fer-mtcnn", "fer, MTCNN", "fer", "mtcnn", "fer"),
    Peer("face-api-ssd", "face-api, SSD (its default)", "face-api", "ssd", "face-api"),
    Peer("face-api-tiny", "face-api, tiny detector", "face-api", "tiny", "face-api"),
    Peer("human", "human: emotion and age", "human", "full", "human"),
    Peer("human-emotion", "human: emotion alone", "human", "emotion", "human"),
    Peer("deepface", "deepface", "deepface", "opencv", "deepface"),
    Peer("py-feat", "py-feat", "py-feat", "detector", "py-feat"),
    Peer("rmn", "rmn", "rmn", "rmn", "rmn"),
)
"""The first is what the others are set beside."""

WEIGHTS = {
    "fer": ("fer, its default weights (quantised, TFLite)", "fer", "haar"),
    "fer-keras": ("fer, `use_tflite=False` (Keras)", "fer", "keras"),
    "face-api": ("face-api", "face-api", "ssd"),
    "human": ("human", "human", "full"),
}
"""Classifiers that come with another package: name → title, environment, variant."""
