"""fer: its own class, its own defaults. Crops go through the steps that `FER.detect_emotions` takes with a face."""

import sys

import serve


class Fer:
    def bring(self):
        import cv2
        from fer.fer import FER

        self.cv2, self.make = cv2, FER

    def load(self):
        self.labels = {"emotion": tuple(self.make._get_labels().values())}
        self.fer = self.make(mtcnn=sys.argv[2] == "mtcnn", use_tflite=sys.argv[2] != "keras")

    def read(self, path):
        return self.cv2.imread(path)

    def analyze(self, picture):
        return len(self.fer.detect_emotions(picture))

    def batch(self, paths):
        return sum(len(faces) for faces in self.fer.batch_detect_emotions([self.read(path) for path in paths]))

    def find(self, rgb, min_face):
        if getattr(self, "finder", None) is None:
            self.finder = self.make(min_face_size=min_face)
        return self.finder.find_faces(self.cv2.cvtColor(rgb, self.cv2.COLOR_RGB2BGR))

    def score(self, faces):
        import numpy as np

        answers = []
        for start in range(0, len(faces), 256):
            crops = np.array([self.cv2.resize(face, (64, 64)) for face in faces[start : start + 256]], np.float32)
            inputs = (crops / 255.0 - 0.5) * 2.0
            if not self.fer.use_tflite:
                inputs = inputs[..., None]
            answers.append(np.asarray(self.fer._classify_emotions(inputs)))
        return {"emotion": np.concatenate(answers)}


serve.main(Fer())
