"""Mien."""

import sys

import serve


class Mien:
    def bring(self):
        from mien import Analyzer

        self.make = Analyzer

    def load(self):
        self.emotion = "emotion-int8" if sys.argv[2] == "int8" else "emotion"
        models = [self.emotion] if sys.argv[2] == "emotion" else [self.emotion, "age"]
        self.analyzer = self.make(models=models)

    def read(self, path):
        from mien.media.image import load_image

        return load_image(path)

    def analyze(self, picture):
        return len(self.analyzer.analyze(picture))

    def batch(self, paths):
        return sum(len(faces) for faces in self.analyzer.analyze_batch(paths))

    def score(self, faces):
        import numpy as np

        from mien.models.catalog import read_model
        from mien.models.model import Model
        from mien.resampling import enlarge

        model = Model(read_model(self.emotion))
        size = model.card.size
        if faces.shape[1] != size:
            faces = np.stack([enlarge(face, (size, size), "cubic") for face in faces])
        self.labels = {head.name: head.labels for head in model.card.heads}
        return model(np.repeat(faces[..., None], model.card.n_channels, axis=3))


serve.main(Mien())
